"""What a writer writes at once: several commits as one entry, and records in whole batches, since
a future for each record costs more than the record. Knows no rule of the journal.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from aiokafka import AIOKafkaProducer
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.structs import TopicPartition

from bus.cursor import Cursor
from bus.groups import Claim, Stream
from bus.kafka.journal.entry import Entry, Places
from bus.kafka.journal.journal import Outcome
from bus.records import Record

OURS = "journal"
"""The header, with the id of the entry, by which we know our own records. It comes last."""

MAX_RECORDS = 2_000
MAX_BYTES = 32 * 1024 * 1024
"""Of the outputs of one entry, unless a single commit has more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """An entry still without the places of its `outputs`."""

    entry: Entry
    outputs: Sequence[Record] = ()
    done: "asyncio.Future[Outcome]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    @property
    def num_bytes(self) -> int:
        return sum(len(record.value) for record in self.outputs)


def merge(jobs: Sequence[Job]) -> Iterator[tuple[Entry, list[Record], list[Job]]]:
    """The jobs in their order, commits that follow each other together."""
    some: list[Job] = []
    for job in jobs:
        if some and not _fits(some, job):
            yield _together(some)
            some = []
        some.append(job)
    if some:
        yield _together(some)


def _fits(some: Sequence[Job], job: Job) -> bool:
    records = sum(len(one.outputs) for one in some) + len(job.outputs)
    num_bytes = sum(one.num_bytes for one in some) + job.num_bytes
    alike = some[0].entry.kind == job.entry.kind == "commit"
    # What is released cannot be claimed by the same entry: the release ends the epoch.
    small = records <= MAX_RECORDS and num_bytes <= MAX_BYTES
    return alike and not some[-1].entry.released and small


def _together(some: list[Job]) -> tuple[Entry, list[Record], list[Job]]:
    first = some[0].entry
    if len(some) == 1:
        return first, list(some[0].outputs), some
    cursors: dict[Stream, tuple[int, Cursor]] = {}
    for job in some:
        for stream, claim in job.entry.done.items():
            epoch, cursor = cursors.get(stream, (claim.epoch, Cursor(-1)))
            for start, end in claim.runs:
                cursor = cursor.advance(range(start, end))
            cursors[stream] = max(epoch, claim.epoch), cursor
    foreign: dict[Stream, Places] = {}
    for job in some:
        for stream, places in job.entry.foreign.items():
            before = foreign.get(stream, Places())
            foreign[stream] = Places((*before.raws, *places.raws), (*before.ids, *places.ids))
    entry = replace(
        first,
        done={stream: Claim(epoch, cursor.runs) for stream, (epoch, cursor) in cursors.items()},
        released={at: epoch for job in some for at, epoch in job.entry.released.items()},
        foreign=foreign,
    )
    return entry, [record for job in some for record in job.outputs], some


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
