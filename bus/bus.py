"""How events are carried: the `Bus` protocol and its promise. Knows no driver and no role.

**Exactly once, out of order.** Deliveries of a group may be completed in any order.
`complete(deliveries, outputs)` makes the outputs visible and the deliveries done in one atomic
commit. A crash before it repeats the work, a crash after it does not; nothing is lost, nothing
appears twice, and no finished work waits for a straggler.

- A record is named by (topic, partition, offset); offsets are dense from 0 in each partition.
- Events of one key share a partition and keep the order of their commits.
- An event whose id is already on the log is not appended again.
- The members of a group share its partitions; every partition has one owner, known by an epoch
  that grows with every change of owner. A commit under an older epoch raises `Fenced` and
  changes nothing.
- A member that subscribes again under its own name takes its partitions over at once; those
  of a silent member fall to the others after a lease.
- The cursor of a group on a partition is (base, done): the lowest offset not done, and the
  offsets done beyond it.
"""

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self

from bus.cursor import Cursor
from bus.events import Event


class BusError(Exception):
    """The bus cannot be used: one sentence that says what is wrong and what to do."""


class Unreachable(BusError):
    """No broker answers: it may later."""


class Fenced(Exception):
    """Another owner has taken these partitions over: this one must stop writing."""


class Unreadable(Exception):
    """A record is not a valid event; the reason."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Position:
    """Names one record of the log."""

    topic: str
    partition: int
    offset: int


class Positioned(Protocol):
    """Whatever names a record: a `Position` or a `Delivery`."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One event as it lies on the log: CloudEvents binary mode, headers and body."""

    topic: str
    partition: int
    offset: int
    key: str
    headers: dict[str, str]
    value: bytes

    @property
    def event_id(self) -> str:
        return self.headers.get("ce_id", "")

    def event(self) -> Event:
        """The event; raises `Unreadable`."""
        from bus.codec import decode

        return decode(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A record handed to a member of a group, under the owner's epoch."""

    record: Record
    epoch: int

    @property
    def topic(self) -> str:
        return self.record.topic

    @property
    def partition(self) -> int:
        return self.record.partition

    @property
    def offset(self) -> int:
        return self.record.offset

    def event(self) -> Event:
        """The event; raises `Unreadable`."""
        return self.record.event()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag:
    """How far a group is behind on one partition: `backlog` records are not done."""

    topic: str
    partition: int
    base: int
    done: int
    end: int
    epoch: int = 0
    owner: str = ""

    @property
    def backlog(self) -> int:
        return self.end - self.base - self.done


class Subscription(Protocol):
    """A member's share of a group's work. Close it, or use it as `async with`."""

    @property
    def epoch(self) -> int:
        """The highest epoch of the partitions owned now; 0 before the first is owned."""
        ...

    async def take(self, limit: int, timeout_seconds: float | None = None) -> list[Delivery]:
        """Up to `limit` records not done and not already taken, in offset order per partition.

        Waits for at least one; returns an empty list after `timeout_seconds`. Raises `Fenced`
        when another instance of this member has taken over, `BusError` when the log is broken.
        """
        ...

    async def complete(self, done: Sequence[Positioned], outputs: Sequence[Event]) -> None:
        """One atomic commit: `outputs` visible, `done` done. Both may be empty.

        `done` may name records that were not taken, as long as this member owns their
        partition. Records already done and outputs already on the log are passed over.
        Raises `Fenced` (nothing was written) or `BusError` (outcome unknown: stop).
        """
        ...

    def cursors(self) -> dict[tuple[str, int], Cursor]:
        """The cursor of every owned (topic, partition), as of the last commit."""
        ...

    async def close(self) -> None:
        """Give the partitions back; what was taken and not completed is delivered again."""
        ...

    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class Bus(Protocol):
    """A log of events shared by all roles of a run. See the module for its promise."""

    async def publish(self, events: Sequence[Event]) -> None:
        """Append in one atomic commit; ids already on the log are passed over."""
        ...

    async def append(self, records: Sequence[Record]) -> None:
        """Like `publish`, with records of another log as they are, readable or not: each goes to
        its partition, at the next offset there. One without an id is nobody's double."""
        ...

    def subscribe(
        self,
        topics: Sequence[str],
        group: str,
        member: str,
        *,
        exclusive: bool = False,
        above: int = 0,
    ) -> Subscription:
        """Join `group` as `member`. `exclusive` takes every partition, fencing all others, under
        epochs higher than `above`."""
        ...

    def follow(self, topic: str, start: int = 0) -> AsyncIterator[Record]:
        """Every record of all partitions from offset `start`, for ever, for this reader alone."""
        ...

    def read(
        self, topic: str, partition: int = 0, start: int = 0, end: int | None = None
    ) -> Iterator[Record]:
        """Replay [start, end) of a partition; `end` None means what is there now."""
        ...

    def heads(self) -> dict[tuple[str, int], int]:
        """The end offset of every (topic, partition), empty partitions included."""
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

    async def close(self) -> None:
        """Finish pending commits and let go of the log."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """One stream of one event type: how it is split and how long it is kept."""

    name: str
    partitions: int = 1
    retention: str = "for ever"
    key: str = "event id"
    description: str = field(default="", compare=False)
