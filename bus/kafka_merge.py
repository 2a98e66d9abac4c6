"""Several commits of one writer as one transaction. Knows no broker."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from bus.bus import Record
from bus.cursor import Cursor
from bus.kafka_entry import Claim, Entry, Places
from bus.shares import Stream

MAX_RECORDS = 2_000
MAX_BYTES = 32 * 1024 * 1024
"""Of the outputs of one transaction, unless a single commit has more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """An entry still without the places of its `outputs`."""

    entry: Entry
    outputs: Sequence[Record] = ()
    done: "asyncio.Future[None]" = field(
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
    return alike and not some[-1].entry.released and records <= MAX_RECORDS < MAX_BYTES > num_bytes


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
