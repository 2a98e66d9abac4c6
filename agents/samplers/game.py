"""A whole game: both seats are played in turn until it is over, or somebody makes no legal move.

first: kq> p   second: kjp> b   first: kqpb> b

Self-play of one policy in both seats, as in SPIRAL (Liu et al. 2025, arXiv 2506.24119); a seat
may be given to another policy.
"""

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from agents.domains.domain import problem_of
from agents.games.game import SEATS, IllegalMove, Position, games_of
from agents.parts import PartConfig, Parts
from agents.samplers.sampler import Speak
from agents.together import together
from bus.events import Sample, Task, Turn


class GameConfig(PartConfig):
    """Every sample is a game of the task. The solver plays all seats but the one that `opponents`
    gives to another policy by its name, whose moves are not learned from; of a game that it ends
    before the solver has moved, nothing is."""

    of_games: ClassVar[bool] = True

    type: Literal["game"] = "game"
    opponents: dict[str, str] = Field(default_factory=dict)

    @field_validator("opponents")
    @classmethod
    def _leaves_a_seat(cls, opponents: dict[str, str]) -> dict[str, str]:
        if unknown := set(opponents) - set(SEATS):
            raise ValueError(f"there is no seat {min(unknown)!r}: there are {' and '.join(SEATS)}")
        if len(opponents) == len(SEATS):
            raise ValueError("one seat must be left to the solver, or nothing is learned from")
        return opponents

    @property
    def uses(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.opponents.values()))

    def build(self, parts: Parts) -> "Game":
        return Game(parts, self)


Turns = tuple[Turn, ...]


class Game:
    """Games that have gone the same way so far are played on together."""

    def __init__(self, parts: Parts, config: GameConfig) -> None:
        self._domain = parts.domain
        self._games = games_of(parts.domain)
        self._opponents = {seat: parts.policy(name) for seat, name in config.opponents.items()}

    async def sample(self, task: Task, n: int, speak: Speak) -> Sequence[Sample]:
        room = self._domain.max_answer_tokens(task.level)
        played: list[Sample] = []
        start: Position = self._games.start(problem_of(task))
        open_games: dict[Position, list[Turns]] = {start: [()] * n}
        while open_games:
            moves = await together(
                self._moves(at, len(games), speak, room) for at, games in open_games.items()
            )
            following: dict[Position, list[Turns]] = {}
            for (position, games), made in zip(open_games.items(), moves, strict=True):
                for turns, move in zip(games, made, strict=True):
                    after = _after(position, move)
                    if after is None or after.seat is None:
                        played.append(Sample(turns=(*turns, move)))
                    else:
                        following.setdefault(after, []).append((*turns, move))
            open_games = following
        return played

    async def _moves(self, position: Position, n: int, speak: Speak, room: int) -> list[Turn]:
        seat = position.seat or ""
        if (opponent := self._opponents.get(seat)) is None:
            return await speak(position.prompt, n, seat=seat)
        return await opponent.sample(
            position.prompt, n, max_tokens=room, seat=seat, trainable=False
        )


def _after(position: Position, move: Turn) -> Position | None:
    """None where the move is none, which ends the game."""
    try:
        return position.play(move.text, move.finish_reason == "stop")
    except IllegalMove:
        return None
