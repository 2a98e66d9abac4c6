"""Reads the records of given places: for replay and for followers. Knows no group."""

import asyncio
import time
from collections.abc import Sequence

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord, TopicPartition

from bus.bus import BusError, Record
from bus.kafka_cluster import TRANSACTION_SECONDS, Cluster
from bus.kafka_commits import OURS
from bus.shares import Stream

PATIENCE_SECONDS = 3 * TRANSACTION_SECONDS
"""A commit is visible partition by partition: a record may come later than the journal's entry."""


class Pages:
    """One consumer, lent to one reader at a time."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._consumer: AIOKafkaConsumer | None = None
        self._turn = asyncio.Lock()

    async def read(self, stream: Stream, offset: int, raws: Sequence[int]) -> list[Record]:
        """The records that lie at `raws`, numbered from `offset` on; raises `BusError`."""
        place = TopicPartition(self._cluster.topic(stream[0]), stream[1])
        async with self._turn:
            if self._consumer is None:
                consumer = self._cluster.consumer(max_wait_seconds=0.05)
                await self._cluster.start(consumer)
                self._consumer = consumer
            try:
                found = await _collect(self._consumer, place, raws)
            except KafkaError as error:
                raise BusError(
                    f"{stream[0]}/{stream[1]} cannot be read from offset {offset} on ({error}): "
                    "records were deleted, or the broker is away."
                ) from error
        return [record_of(stream, offset + index, found[raw]) for index, raw in enumerate(raws)]

    async def stop(self) -> None:
        if self._consumer is not None:
            await self._cluster.stop(self._consumer)


def record_of(stream: Stream, offset: int, record: ConsumerRecord) -> Record:
    """A record under its place in the order of the journal."""
    return Record(
        topic=stream[0],
        partition=stream[1],
        offset=offset,
        key=(record.key or b"").decode("utf-8", "replace"),
        headers={
            name: (value or b"").decode("utf-8", "replace")
            for name, value in record.headers
            if name != OURS
        },
        value=record.value or b"",
    )


def is_ours(record: ConsumerRecord) -> bool:
    return any(name == OURS for name, _ in record.headers)


async def _collect(
    consumer: AIOKafkaConsumer, place: TopicPartition, raws: Sequence[int]
) -> dict[int, ConsumerRecord]:
    missing, found = set(raws), {}
    until = time.monotonic() + PATIENCE_SECONDS
    if place not in consumer.assignment():
        consumer.assign([place])
    consumer.resume(place)
    consumer.seek(place, min(missing))
    try:
        while missing:
            pages = await consumer.getmany(place, timeout_ms=200)
            for record in pages.get(place, ()):
                if record.offset in missing:
                    missing.discard(record.offset)
                    found[record.offset] = record
            if missing and time.monotonic() > until:
                raise BusError(
                    f"The record at Kafka's offset {min(missing)} of {place.topic}/"
                    f"{place.partition} is on the journal, but not in the topic: restore it."
                )
    finally:
        consumer.pause(place)
    return found
