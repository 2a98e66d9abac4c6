"""How events are carried: the `Bus` protocol and its promise. Knows no driver and no role.

**Exactly once, out of order.** Deliveries of a group may be completed in any order.
`complete(deliveries, outputs)` makes the outputs visible and the deliveries done in one atomic
commit. A crash before it repeats the work, a crash after it does not; nothing is lost, nothing
appears twice, and no finished work waits for a straggler.

- A record is named by (topic, partition, offset); offsets are dense from 0 in each partition.
- Events of one key share a partition and keep the order of their commits.
- What is completed a second time says nothing: its outputs are passed over. Any other event is
  passed over when its id is among the newest on the log: how many, each driver says.
- The members of a group share its partitions; every partition has one owner, known by an epoch
  that grows with every change of owner. A commit under an older epoch raises `Fenced` and
  changes nothing.
- A member that subscribes again under its own name takes its partitions over at once; those
  of a silent member fall to the others after a lease, by the monotonic clock of each of these.
- A commit with an event of a durable topic (`Topic.durable`) is on the disk, with all commits
  before it, before anybody sees it. A power cut may take the commits after the last such one:
  whole ones, from the end, with their cursors; they are made again.
- The cursor of a group on a partition is (base, done): the lowest offset not done, and the
  offsets done beyond it.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from types import TracebackType
from typing import Protocol, Self

from bus.cursor import Cursor
from bus.events import Event
from bus.log import Log
from bus.records import Delivery, Positioned, Record


class Subscription(Protocol):
    """A member's share of a group's work. Close it, or use it as `async with`."""

    @property
    def epoch(self) -> int:
        """The highest epoch of the partitions owned now, or owned lastly by whoever was replaced:
        what is stamped with it must not pass for older than it is. 0 before the first is owned."""
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
        partition. Records already done and outputs already on the log are passed over, all
        outputs if all of `done` was done.
        Raises `Fenced` or `Unwritable` (nothing was written), or `BusError` (outcome unknown:
        stop).
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

    @property
    def log(self) -> Log:
        """What lies on it, to be read."""
        ...

    async def publish(self, events: Sequence[Event]) -> None:
        """Append in one atomic commit; ids among the newest records are passed over."""
        ...

    async def append(self, records: Sequence[Record]) -> None:
        """Like `publish`, with records of another log as they are, readable or not: each goes to
        its partition, at the next offset there. One without an id is nobody's double."""
        ...

    async def trim(self, below: Mapping[tuple[str, int], int]) -> None:
        """Remove what lies below these offsets, but for the last record of each partition. Raises
        `BusError` where a group has not done all of it."""
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

    async def close(self) -> None:
        """Finish pending commits and let go of the log."""
        ...
