"""Where the records of a partition lie, read from the journal once more: for those who read what
was appended before they came. Knows no group."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
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


class Lent:
    """One consumer, started when it is first needed and lent to one reader at a time."""

    def __init__(self, cluster: Cluster, journal: Journal) -> None:
        self._cluster, self._journal = cluster, journal
        self._consumer: AIOKafkaConsumer | None = None
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def at(self, place: TopicPartition, offset: int) -> AsyncIterator[AIOKafkaConsumer]:
        """Raises `BusError`."""
        async with self._turn:
            consumer = await self._started()
            if place not in consumer.assignment():
                consumer.assign([place])
            consumer.resume(place)
            consumer.seek(place, offset)
            try:
                yield consumer
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

    async def _started(self) -> AIOKafkaConsumer:
        while self._consumer is None:
            await self._journal.watch.over()
            consumer = self._cluster.consumer(max_wait_seconds=0.05)
            with suppress(Unreachable):
                await self._cluster.start(consumer)
                self._consumer = consumer
        return self._consumer


async def patiently(consumer: AIOKafkaConsumer, place: TopicPartition) -> list[ConsumerRecord]:
    """The next records, none after a moment without any; through any outage."""
    try:
        return list((await consumer.getmany(place, timeout_ms=200)).get(place, ()))
    except KafkaError as error:
        if not is_passing(error):
            raise
        await asyncio.sleep(RETRY_SECONDS)
        return []


class Scanner:
    """Reads entries that have been applied already."""

    def __init__(self, cluster: Cluster, journal: Journal) -> None:
        self._lent = Lent(cluster, journal)
        self._journal = journal
        self._place = TopicPartition(cluster.topic(JOURNAL), 0)

    async def places(self, stream: Stream, start: int, limit: int = PAGE) -> list[Place]:
        """Those of the offsets [start, start + limit) that are on the log; raises `BusError`."""
        with self._journal.state.lock:
            state = self._journal.state
            end = min(state.heads[stream], start + limit)
            offset, position = state.index[stream].before(start)
        found: list[Place] = []
        if start >= end:
            return found
        named = f'["{stream[0]}",{stream[1]},'.encode()
        async for at, value in self.values(position):
            if named not in value:
                continue
            for other, places, entry_id in self.effects(at, value):
                for raw, event_id in zip(*places, strict=True) if other == stream else ():
                    if start <= offset < end:
                        found.append(Place(offset, raw, event_id, entry_id))
                    offset += 1
            if offset >= end:
                return found
        raise AssertionError(f"the journal ends before {stream}/{end}")

    async def values(self, start: int) -> AsyncIterator[tuple[int, bytes]]:
        """What lies on the journal from `start` up to where it has been applied."""
        end = self._journal.state.position
        async with self._lent.at(self._place, start) as consumer:
            while start < end:
                for record in await patiently(consumer, self._place):
                    start = record.offset + 1
                    if start > end:
                        return
                    yield record.offset, record.value or b""

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
