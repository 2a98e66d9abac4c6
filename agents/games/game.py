"""What a game of two is to whoever lets models play it: the `Position` protocol, and domains whose
tasks are games. Knows no rules.
"""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from agents.domains.domain import Domain, Problem

FIRST, SECOND = "first", "second"
SEATS = (FIRST, SECOND)
"""Who plays, as turns and verdicts call them; the first moves first at the deal."""


class IllegalMove(ValueError):
    """A move that the rules do not allow; the message says why."""


class Position(Protocol):
    """A game as far as it has been played. The same position is equal to itself."""

    @property
    def seat(self) -> str | None:
        """Who is to move, None once the game is over."""
        ...

    @property
    def prompt(self) -> str:
        """What the player who is to move reads."""
        ...

    @property
    def payoffs(self) -> Mapping[str, float]:
        """What each seat has won, once the game is over."""
        ...

    def play(self, text: str, ended: bool) -> "Position":
        """After the move that a model wrote, and ended itself or not. Raises `IllegalMove`."""
        ...


@runtime_checkable
class Games(Protocol):
    """A domain whose tasks are games."""

    def start(self, problem: Problem) -> Position:
        """Where the game of a task begins."""
        ...


def games_of(domain: Domain) -> Games:
    """Raises `ValueError` for a domain whose tasks are none."""
    if not isinstance(domain, Games):
        raise ValueError(f"the tasks of the domain {domain.name} are no games: choose kuhn")
    return domain
