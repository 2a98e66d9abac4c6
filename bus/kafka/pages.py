"""Reads the records of given places, for replay and for followers; and for an audit those without a
place. Knows no group."""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import ConsumerStoppedError, KafkaError
from aiokafka.structs import ConsumerRecord, TopicPartition

from bus.errors import BusError, Unreachable
from bus.kafka.batches import OURS
from bus.kafka.cluster import TRANSACTION_SECONDS, Cluster
from bus.kafka.refusal import in_words, is_passing
from bus.kafka.watch import Watch
from bus.log import Stray
from bus.records import Record
from bus.shares import Stream

RETRY_SECONDS = 0.5
PATIENCE_SECONDS = 3 * TRANSACTION_SECONDS
"""A commit is visible partition by partition: a record may come later than the journal's entry."""


class Pages:
    """One consumer, lent to one reader at a time."""

    def __init__(self, cluster: Cluster, watch: Watch) -> None:
        self._cluster, self._watch = cluster, watch
        self._consumer: AIOKafkaConsumer | None = None
        self._turn = asyncio.Lock()

    async def read(self, stream: Stream, offset: int, raws: Sequence[int]) -> list[Record]:
        """The records that lie at `raws`, numbered from `offset` on, through any outage; raises
        `BusError`."""
        place = TopicPartition(self._cluster.topic(stream[0]), stream[1])
        async with self._turn:
            consumer = await self._started()
            if place not in consumer.assignment():
                consumer.assign([place])
            consumer.resume(place)
            consumer.seek(place, min(raws))
            try:
                found = await self._collect(consumer, place, set(raws))
            except ConsumerStoppedError:
                raise BusError("The bus is closed.") from None
            except KafkaError as error:
                raise BusError(
                    f"{stream[0]}/{stream[1]} cannot be read from offset {offset} on "
                    f"({in_words(error)}): records were deleted, or must not be read."
                ) from error
            finally:
                consumer.pause(place)
        return [record_of(stream, offset + index, found[raw]) for index, raw in enumerate(raws)]

    async def stop(self) -> None:
        if self._consumer is not None:
            await self._cluster.stop(self._consumer)

    async def _started(self) -> AIOKafkaConsumer:
        while self._consumer is None:
            await self._watch.over()
            consumer = self._cluster.consumer(max_wait_seconds=0.05)
            with suppress(Unreachable):
                await self._cluster.start(consumer)
                self._consumer = consumer
        return self._consumer

    async def _collect(
        self, consumer: AIOKafkaConsumer, place: TopicPartition, missing: set[int]
    ) -> dict[int, ConsumerRecord]:
        found: dict[int, ConsumerRecord] = {}
        until = time.monotonic() + PATIENCE_SECONDS
        while missing:
            try:
                pages = await consumer.getmany(place, timeout_ms=200)
            except KafkaError as error:
                if not is_passing(error):
                    raise
                await asyncio.sleep(RETRY_SECONDS)
                continue
            for record in pages.get(place, ()):
                if record.offset in missing:
                    missing.discard(record.offset)
                    found[record.offset] = record
            if pages or self._watch.trouble is not None:
                until = time.monotonic() + PATIENCE_SECONDS
            if missing and time.monotonic() > until:
                raise BusError(
                    f"The record at Kafka's offset {min(missing)} of {place.topic}/"
                    f"{place.partition} is on the journal, but not in the topic: restore it."
                )
        return found


def record_of(stream: Stream, offset: int, record: ConsumerRecord) -> Record:
    """A record under its place in the order of the journal."""
    try:
        headers = {name: value.decode() for name, value in record.headers}
    except (AttributeError, UnicodeDecodeError):
        headers = {name: (text or b"").decode("utf-8", "replace") for name, text in record.headers}
    headers.pop(OURS, None)
    return Record(
        topic=stream[0],
        partition=stream[1],
        offset=offset,
        key=(record.key or b"").decode("utf-8", "replace"),
        headers=headers,
        value=record.value or b"",
    )


def is_ours(record: ConsumerRecord) -> bool:
    return bool(record.headers) and record.headers[-1][0] == OURS


def is_blank(record: ConsumerRecord) -> bool:
    """Whether a writer only touched the partition."""
    return is_ours(record) and not record.value


async def find_strays(cluster: Cluster, known: Mapping[Stream, Iterable[int]]) -> list[Stray]:
    """Every committed record whose offset in Kafka is not `known`; raises `KafkaError`."""
    streams = {TopicPartition(cluster.topic(at[0]), at[1]): at for at in known}
    placed = {at: set(raws) for at, raws in known.items()}
    consumer = cluster.consumer(max_wait_seconds=0.05)
    await cluster.start(consumer)
    try:
        ends = await consumer.end_offsets(list(streams))
        left = {place for place, end in ends.items() if end}
        consumer.assign(list(left))
        for place in left:
            consumer.seek(place, 0)
        found: list[Stray] = []
        while left:
            for place, records in (await consumer.getmany(*left, timeout_ms=200)).items():
                at = streams[place]
                found += [
                    Stray(
                        stream=at,
                        raw=one.offset,
                        event_id=record_of(at, -1, one).event_id,
                        ours=is_ours(one),
                    )
                    for one in records
                    if one.offset not in placed[at] and not is_blank(one)
                ]
            left = {place for place in left if await consumer.position(place) < ends[place]}
        return found
    finally:
        await cluster.stop(consumer)
