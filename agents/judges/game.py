"""The outcome of a game, for each seat its own: the moves are played again by the rules.

A move that is none ends the game, as in SPIRAL (Liu et al. 2025, arXiv 2506.24119): whoever made it
gets -1.5 and the other .5.
"""

from typing import ClassVar, Literal

from agents.domains.domain import problem_of
from agents.games.game import SEATS, IllegalMove, games_of
from agents.parts import PartConfig, Parts
from bus.events import Attempt, Sample, Task, Verdict


class GameConfig(PartConfig):
    """What each seat won. Who makes no legal move gets `illegal`, the other one `spared`."""

    of_games: ClassVar[bool] = True

    type: Literal["game"] = "game"
    illegal: float = -1.5
    spared: float = 0.5

    def build(self, parts: Parts) -> "Game":
        return Game(parts, self)


class Game:
    """The reward of a sample is that of the seat which learns; of both, where both do, that of the
    one that moved first."""

    def __init__(self, parts: Parts, config: GameConfig) -> None:
        self._games = games_of(parts.domain)
        self._config = config

    async def judge(self, attempt: Attempt) -> tuple[Verdict, ...]:
        return tuple(self._verdict(attempt.task, sample) for sample in attempt.samples)

    def _verdict(self, task: Task, sample: Sample) -> Verdict:
        position = self._games.start(problem_of(task))
        for turn in sample.turns:
            if (seat := position.seat) is None:
                break
            try:
                position = position.play(turn.text, turn.finish_reason == "stop")
            except IllegalMove as error:
                won = {one: self._config.spared for one in SEATS} | {seat: self._config.illegal}
                return self._won(sample, won, f"illegal: {error}"[:60])
        if position.seat is not None:
            return Verdict(
                scores={}, reward=0.0, reason="unfinished", provenance="game", known=False
            )
        won = dict(position.payoffs)
        best = max(won, key=lambda one: won[one])
        return self._won(sample, won, f"{best} wins" if won[best] > 0 else "draw")

    def _won(self, sample: Sample, won: dict[str, float], reason: str) -> Verdict:
        learns = next((turn.seat for turn in sample.trainable), sample.turns[0].seat)
        return Verdict(
            scores=won,
            reward=won.get(learns, 0.0),
            reason=reason,
            provenance="game",
            seats=won,
        )
