"""Kuhn poker as a model reads and writes it, one character a card and a move. Knows no policy.

A player with the queen, after a pass and a bet, reads `kqpb>` and must write `p` or `b` and end.
The length of the history says which seat that is.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from agents.games.game import SEATS, IllegalMove
from agents.games.kuhn import HISTORIES, MOVES, Move, Seen, State

CARD_LETTERS = "jqk"
MARK = ">"
_PROMPT = re.compile(rf"k([{CARD_LETTERS}])({'|'.join(HISTORIES)}){MARK}")


class NotASight(ValueError):
    """A text that shows nothing that a player can see."""


def prompt_of(seen: Seen) -> str:
    """What the model reads."""
    return f"k{CARD_LETTERS[seen.card]}{seen.history}{MARK}"


def seen_in(prompt: str) -> Seen:
    """What `prompt_of` shows; raises `NotASight`."""
    found = _PROMPT.fullmatch(prompt)
    if found is None:
        raise NotASight(f"{prompt[:20]!r} shows no card and moves: they look like kqpb>")
    return Seen(CARD_LETTERS.index(found[1]), found[2])


def move_in(answer: str, ended: bool) -> Move:
    """The move that a model wrote; raises `IllegalMove` with a reason of a word or two."""
    if not ended:
        raise IllegalMove("not ended")
    for move in MOVES:
        if answer == move:
            return move
    raise IllegalMove("no move" if answer else "empty")


@dataclass(frozen=True, slots=True)
class Hand:
    """The `Position` of a game whose players read and write so."""

    state: State

    @property
    def seat(self) -> str | None:
        return None if self.state.is_over else SEATS[self.state.seat]

    @property
    def prompt(self) -> str:
        return prompt_of(self.state.seen)

    @property
    def payoffs(self) -> Mapping[str, float]:
        return dict(zip(SEATS, map(float, self.state.payoffs), strict=True))

    def play(self, text: str, ended: bool) -> "Hand":
        return Hand(self.state.play(move_in(text, ended)))
