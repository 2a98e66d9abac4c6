"""What to ask next: the `Source` protocol. A source knows problems and what became of them. Its
configuration is built with the parts of its process; its `type` is its name on the log."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Annotated, Protocol

from pydantic import Field

from agents.domains.domain import Domain, Problem
from bus.events import LevelCount, Proposal

Levels = tuple[Annotated[int, Field(ge=1)], ...]


def levels_of(domain: Domain, named: Sequence[int] | None) -> list[int]:
    """Those that are named, or all of the domain. Raises `ValueError` if it has no such level."""
    if extra := set(named or ()) - set(domain.levels):
        raise ValueError(f"source.levels {sorted(extra)} are not among those of the domain")
    return list(named or domain.levels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A problem to ask, the type of the source, and the completion that wrote it if a model did."""

    problem: Problem
    source: str
    proposal: Proposal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A completion in the proposer's role that is not asked, and why."""

    proposal: Proposal
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """What a source came up with at one time."""

    drafts: tuple[Draft, ...]
    refused: tuple[Refused, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceState:
    """All that a source remembers: success rate by "family/level", hardest level by family, and how
    many tasks the run has asked."""

    success: dict[str, float]
    top: dict[str, int]
    asked: int = 0


class Source(Protocol):
    @property
    def state(self) -> SourceState: ...

    def restore(self, state: SourceState) -> None:
        """Go on from a state; called in a thread, so it may read the log."""
        ...

    def fold(self, batch: Sequence[LevelCount]) -> None:
        """Learn what became of the tasks of one batch."""
        ...

    async def draw(self, count: int, random: Random, version: int, draw_id: str) -> Draw:
        """Exactly `count` problems; the same for the same state, `random` and model. Where a model
        writes them, it is by weights no older than `version`."""
        ...
