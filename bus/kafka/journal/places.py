"""Where the records of a partition lie, read from the journal once more: for those who read what
was appended before they came. Knows no group."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import ConsumerStoppedError, KafkaError
from aiokafka.structs import ConsumerRecord, TopicPartition

from bus.errors import BusError, Unreachable
from bus.groups import Stream
from bus.kafka.cluster.cluster import Cluster
from bus.kafka.cluster.refusal import in_words, is_passing
from bus.kafka.cluster.topics import JOURNAL
from bus.kafka.journal.entry import Entry, Places
from bus.kafka.journal.journal import RETRY_SECONDS, Journal
from bus.kafka.journal.state import Place

PAGE = 500
PAGE_BYTES = 1024 * 1024
"""Fetched of a partition at once, unless one batch is larger."""

MAX_PLACES = 4_000


@dataclass(slots=True)
class Window:
    """Places of what comes next in a partition, up to the offset `end`."""

    end: int
    places: deque[Place] = field(default_factory=deque)

    def learn(self, places: Sequence[Place]) -> None:
        """What was appended, if nothing is missing before it: the rest is looked up when due."""
        known = self.end - places[0].offset if places else 0
        if 0 <= known < len(places) and len(self.places) < MAX_PLACES:
            self.places.extend(places[known:])
            self.end = places[-1].offset + 1


class Reading:
    """One partition, read on from `position`. What its reader leaves is there for the next who goes
    on: so pages that follow each other are fetched once."""

    def __init__(self, consumer: AIOKafkaConsumer, place: TopicPartition, offset: int) -> None:
        self.consumer, self._place = consumer, place
        self._fetched = offset
        self._left: list[ConsumerRecord] = []

    @property
    def position(self) -> int:
        return self._left[0].offset if self._left else self._fetched

    def go(self, offset: int) -> None:
        self._left = [one for one in self._left if one.offset >= offset]
        if offset != self.position:
            self._left, self._fetched = [], offset
            self.consumer.seek(self._place, offset)

    def give_back(self, records: Sequence[ConsumerRecord]) -> None:
        self._left[:0] = records

    async def next(self, most: int = PAGE) -> Sequence[ConsumerRecord]:
        """The next records, none after a moment without any; through any outage."""
        if not self._left:
            try:
                # All there is: while the client keeps some, it is slow to fetch from elsewhere.
                pages = await self.consumer.getmany(self._place, timeout_ms=200)
            except KafkaError as error:
                if not is_passing(error):
                    raise
                await asyncio.sleep(RETRY_SECONDS)
                return ()
            self._left = pages.get(self._place, [])
            self._fetched = await self.consumer.position(self._place)
        some, self._left = self._left[:most], self._left[most:]
        return some


class Lent:
    """One consumer, started when it is first needed and lent to one reader at a time."""

    def __init__(self, cluster: Cluster, journal: Journal) -> None:
        self._cluster, self._journal = cluster, journal
        self._consumer: AIOKafkaConsumer | None = None
        self._readings: dict[TopicPartition, Reading] = {}
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def at(self, place: TopicPartition, offset: int) -> AsyncIterator[Reading]:
        """Raises `BusError`."""
        async with self._turn:
            consumer = await self._started()
            reading = self._readings.get(place) or self._assigned(consumer, place, offset)
            reading.go(offset)
            consumer.resume(place)
            try:
                yield reading
            except ConsumerStoppedError:
                raise BusError("The bus is closed.") from None
            except KafkaError as error:
                raise BusError(
                    f"{place.topic}/{place.partition} cannot be read from Kafka's offset {offset} "
                    f"on ({in_words(error)}): records were deleted, or must not be read."
                ) from error
            finally:
                consumer.pause(place)

    async def stop(self) -> None:
        if self._consumer is not None:
            await self._cluster.stop(self._consumer)

    def _assigned(self, consumer: AIOKafkaConsumer, place: TopicPartition, offset: int) -> Reading:
        reading = self._readings[place] = Reading(consumer, place, offset)
        consumer.assign([*self._readings])
        for at, one in self._readings.items():
            consumer.seek(at, one.position)
            consumer.pause(at)
        return reading

    async def _started(self) -> AIOKafkaConsumer:
        while self._consumer is None:
            await self._journal.watch.over()
            consumer = self._cluster.consumer(max_wait_seconds=0.05, page_bytes=PAGE_BYTES)
            with suppress(Unreachable):
                await self._cluster.start(consumer)
                self._consumer = consumer
        return self._consumer


class Scanner:
    """Reads entries that have been applied already."""

    def __init__(self, cluster: Cluster, journal: Journal) -> None:
        self._lent = Lent(cluster, journal)
        self._journal = journal
        self._place = TopicPartition(cluster.topic(JOURNAL), 0)
        self._known: dict[Stream, tuple[int, int]] = {}
        """Where the last page of each partition ended: an offset, and the position of its entry."""

    async def places(self, stream: Stream, start: int, limit: int = PAGE) -> list[Place]:
        """Those of the offsets [start, start + limit) that are on the log; raises `BusError`."""
        return [place for place, _ in await self._placed(stream, start, limit)]

    async def commits(self, stream: Stream, start: int, limit: int) -> list[int]:
        """Of the same, which entries gave them their place, in numbers above 0."""
        return [at + 1 for _, at in await self._placed(stream, start, limit)]

    async def _placed(self, stream: Stream, start: int, limit: int) -> list[tuple[Place, int]]:
        """With the positions of their entries."""
        with self._journal.state.lock:
            state = self._journal.state
            end = min(state.heads[stream], start + limit)
            offset, position = state.index[stream].before(start)
        if offset < (known := self._known.get(stream, (0, 0)))[0] <= start:
            offset, position = known
        found: list[tuple[Place, int]] = []
        if start >= end:
            return found
        named = f'["{stream[0]}",{stream[1]},'.encode()
        async with aclosing(self.values(position)) as values:
            async for at, value in values:
                if named not in value:
                    continue
                first = offset
                for other, places, entry_id in self.effects(at, value):
                    for raw, event_id in zip(*places, strict=True) if other == stream else ():
                        if start <= offset < end:
                            found.append((Place(offset, raw, event_id, entry_id), at))
                        offset += 1
                if offset >= end:
                    self._known[stream] = first, at
                    return found
        raise AssertionError(f"the journal ends before {stream}/{end}")

    async def values(self, start: int) -> AsyncGenerator[tuple[int, bytes], None]:
        """What lies on the journal from `start` up to where it has been applied. Whoever stops
        before the end closes it, and may go on from the last it was given."""
        end = self._journal.state.position
        async with self._lent.at(self._place, start) as reading:
            while start < end:
                records = await reading.next()
                for number, record in enumerate(records):
                    if record.offset >= end:
                        reading.give_back(records[number:])
                        return
                    start = record.offset + 1
                    try:
                        yield record.offset, record.value or b""
                    except GeneratorExit:
                        reading.give_back(records[number:])
                        raise

    async def stop(self) -> None:
        await self._lent.stop()

    def effects(self, position: int, value: bytes) -> list[tuple[Stream, Places, str]]:
        """The records that an entry gave their place, and its id."""
        try:
            entry = Entry.decode(value)
        except ValueError:
            return []
        with self._journal.state.lock:
            return self._journal.state.effects(position, entry)
