"""What has been said, to be read again: the `Log` protocol. Knows no driver.

Its calls are synchronous and may wait for a disk, or for a broker through an outage: a coroutine
makes them in a thread (`asyncio.to_thread`), never on its event loop.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

from bus.cursor import Cursor
from bus.groups import Group, Stream
from bus.records import Lag, Record


class Held(NamedTuple):
    """How far a group has come on a partition, under which epoch."""

    cursor: Cursor
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """The log between two commits: where every partition ends, how far every group has come. What
    it holds outlives a power cut."""

    heads: Mapping[Stream, int]
    groups: Mapping[str, Mapping[Stream, Held]]


def cut_of(heads: Mapping[Stream, int], groups: Mapping[str, Group]) -> Cut:
    """Heads and groups of one moment, which a driver knows to be on the disk."""
    held = {
        name: {at: Held(one.cursor, one.epoch) for at, one in group.holdings.items()}
        for name, group in groups.items()
    }
    return Cut(heads=dict(heads), groups=held)


class Log(Protocol):
    """The records of every topic, and how far every group has come."""

    def read(
        self, topic: str, partition: int = 0, start: int = 0, end: int | None = None
    ) -> Iterator[Record]:
        """Replay [start, end) of a partition; `end` None means what is there now. Raises `Trimmed`
        where some of it was removed."""
        ...

    def heads(self) -> dict[tuple[str, int], int]:
        """The end offset of every (topic, partition), empty partitions included."""
        ...

    def starts(self) -> dict[tuple[str, int], int]:
        """Of each partition that was trimmed, the first offset that is there."""
        ...

    def cut(self) -> Cut:
        """What it says at this moment, once that is on the disk."""
        ...

    def find(self, event_id: str) -> Record | None:
        """The record of an event, None if it is not on the log."""
        ...

    def lag(self, group: str) -> list[Lag]:
        """The group's cursors, one `Lag` per (topic, partition) it ever subscribed to."""
        ...

    def cursors(self, group: str) -> dict[tuple[str, int], Cursor]:
        """How far the group has come on every (topic, partition) it ever subscribed to."""
        ...

    def groups(self) -> list[str]:
        """Every group that ever subscribed, by name."""
        ...

    def members(self, group: str) -> list[str]:
        """The members of a group, without those known to have been silent for a lease."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Stray:
    """What lies in a topic of a run without a place on its log: a copy of an event that has one, or
    what nobody has read or nobody was allowed to write. `ours` was written by a bus: its commit
    came too late, or another had the same event."""

    stream: Stream
    raw: int
    event_id: str
    ours: bool


@runtime_checkable
class HasStrays(Protocol):
    """A log in topics that every program can read and write."""

    def strays(self) -> list[Stray]: ...


@runtime_checkable
class HasOrder(Protocol):
    """A log that knows which of two records was committed first."""

    def commits(self, topic: str, partition: int, start: int, end: int) -> Sequence[int]:
        """Numbers above 0 that grow from commit to commit, of the records [start, end)."""
        ...
