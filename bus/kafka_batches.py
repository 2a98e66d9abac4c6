"""Writes records in whole batches, one future for each: a future per record costs more than the
record. Knows no transaction and no journal.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.structs import TopicPartition

from bus.bus import Record

OURS = "journal"
"""The header, with the id of the entry, by which we know our own records. It comes last."""


def register(producer: AIOKafkaProducer, places: Iterable[TopicPartition]) -> None:
    """Let the coordinator hear of all partitions of a transaction at once. The client itself would
    tell it of each when the first record is there: one more request before the journal's entry."""
    for place in places:
        producer._txn_manager.maybe_add_partition_to_txn(place)


async def write(
    producer: AIOKafkaProducer, records: Mapping[TopicPartition, Sequence[Record]], entry_id: str
) -> list[list[int]]:
    """Kafka's offsets of the records, partition by partition as they were given."""
    mark = (OURS, entry_id.encode())
    return await asyncio.gather(
        *(_write(producer, place, some, mark) for place, some in records.items())
    )


async def _write(
    producer: AIOKafkaProducer,
    place: TopicPartition,
    records: Sequence[Record],
    mark: tuple[str, bytes],
) -> list[int]:
    written: list[int] = []
    sent = [
        (batch, await producer.send_batch(batch, place.topic, partition=place.partition))
        for batch in _batches(producer, records, mark)
    ]
    for batch, future in sent:
        first = (await future).offset
        written += range(first, first + batch.record_count())
    return written


def _batches(
    producer: AIOKafkaProducer, records: Sequence[Record], mark: tuple[str, bytes]
) -> Iterator[BatchBuilder]:
    batch = producer.create_batch()
    for one in records:
        headers = [(name, value.encode()) for name, value in one.headers.items()]
        headers.append(mark)
        key = one.key.encode()
        if batch.append(timestamp=None, key=key, value=one.value, headers=headers) is None:
            yield batch
            batch = producer.create_batch()
            batch.append(timestamp=None, key=key, value=one.value, headers=headers)
    batch.close()
    yield batch
