"""The bus inside one process: for simulations and tests. The same calls in the same order give
the same log. Knows no disk.
"""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

from bus.cursor import Cursor
from bus.errors import BusError, Trimmed
from bus.events import Event
from bus.groups import Group, Member, Stream, check_done
from bus.log import Cut, cut_of
from bus.memory.log import MemoryLog
from bus.memory.subscription import MemorySubscription
from bus.records import Lag, Record, check_places
from bus.topics import TOPICS, Topic, co_partitioned


class MemoryBus:
    """Implements `Bus`. `partitions` of each co-partitioned topic, None for as many as it says."""

    def __init__(
        self, topics: Mapping[str, Topic] = TOPICS, *, partitions: int | None = None
    ) -> None:
        self._log = MemoryLog(co_partitioned(topics, partitions))
        self._groups: dict[str, Group] = {}
        self._joined = 0
        self._starts: dict[Stream, int] = {}

    @property
    def log(self) -> "MemoryBus":
        """Itself: the same connection reads."""
        return self

    async def publish(self, events: Sequence[Event]) -> None:
        self._log.append(self._log.encoded(events))

    async def append(self, records: Sequence[Record]) -> None:
        self._log.check_open()
        check_places(records, self._log.topics)
        self._log.append(records)

    async def trim(self, below: Mapping[Stream, int]) -> None:
        """What is trimmed is kept, and not read any more."""
        check_done(self._groups, below)
        heads = self.heads()
        for stream, end in below.items():
            first = min(end, heads[stream] - 1)
            if first > self._starts.get(stream, 0):
                self._starts[stream] = first

    def subscribe(
        self,
        topics: Sequence[str],
        group: str,
        member: str,
        *,
        exclusive: bool = False,
        above: int = 0,
    ) -> MemorySubscription:
        unknown = [topic for topic in topics if topic not in self._log.topics]
        if unknown or not topics or not member:
            raise BusError(
                f"Group {group!r} cannot read {', '.join(unknown) or 'nothing'} as {member!r}: "
                f"there are the topics {', '.join(self._log.topics)}."
            )
        self._log.check_open()
        self._joined += 1
        joining = Member(
            name=member,
            instance=str(self._joined),
            topics=frozenset(topics),
            exclusive=exclusive,
        )
        state = self._groups.setdefault(group, Group())
        subscription = MemorySubscription(self._log, group, state, joining, above)
        self._log.wake()
        return subscription

    async def follow(self, topic: str, start: int = 0) -> AsyncIterator[Record]:
        at = {stream: start for stream in self._log.streams if stream[0] == topic}
        if not at:
            raise BusError(f"There is no topic {topic!r} on this log.")
        while True:
            self._log.check_open()
            page = [
                record
                for stream, first in at.items()
                for record in self._log.streams[stream][first:]
            ]
            for record in page:
                at[record.topic, record.partition] = record.offset + 1
                yield record
            if not page:
                await self._log.news()

    def read(
        self, topic: str, partition: int = 0, start: int = 0, end: int | None = None
    ) -> Iterator[Record]:
        if (topic, partition) not in self._log.streams:
            raise BusError(f"There is no partition {topic}/{partition} on this log.")
        if start < (first := self._starts.get((topic, partition), 0)):
            raise Trimmed(topic, partition, first)
        yield from self._log.streams[topic, partition][start:end]

    def heads(self) -> dict[Stream, int]:
        return {stream: len(records) for stream, records in self._log.streams.items()}

    def starts(self) -> dict[Stream, int]:
        return dict(self._starts)

    def cut(self) -> Cut:
        return cut_of(self.heads(), self._groups)

    def commits(self, topic: str, partition: int, start: int, end: int) -> Sequence[int]:
        return self._log.order[topic, partition][start:end]

    def find(self, event_id: str) -> Record | None:
        found = self._log.ids.get(event_id)
        if found is not None and found.offset < self._starts.get((found.topic, found.partition), 0):
            return None
        return found

    def lag(self, group: str) -> list[Lag]:
        ends = {stream: len(records) for stream, records in self._log.streams.items()}
        return self._groups.get(group, Group()).lags(ends)

    def cursors(self, group: str) -> dict[Stream, Cursor]:
        return self._groups.get(group, Group()).cursors()

    def groups(self) -> list[str]:
        return sorted(self._groups)

    def members(self, group: str) -> list[str]:
        return sorted(self._groups[group].members) if group in self._groups else []

    async def close(self) -> None:
        self._log.closed = True
        self._log.wake()
