"""What lies in the topics of a run without a place on its log: copies of events that have one, and
what nobody has read or nobody was allowed to write. For an audit. Knows no driver.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from bus.shares import Stream


@dataclass(frozen=True, slots=True, kw_only=True)
class Stray:
    """`ours` was written by a bus: its commit came too late, or another had the same event."""

    stream: Stream
    raw: int
    event_id: str
    ours: bool


@runtime_checkable
class HasStrays(Protocol):
    """A log in topics that every program can read and write."""

    def strays(self) -> list[Stray]: ...
