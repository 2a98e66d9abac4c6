"""Copies one log into another, record by record and cursor by cursor. Knows no transport, no role
and no folder.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from heapq import merge
from operator import itemgetter

from bus.bus import Bus
from bus.cursor import Cursor
from bus.errors import BusError
from bus.events import Weights
from bus.log import HasOrder, Log
from bus.records import Position, Record
from evolvent.errors import UsageError
from observability.audit.duties import reading_order

MEMBER = "copy"
_BATCH_RECORDS = 1_000
_BATCH_BYTES = 8 * 1024 * 1024
_WINDOW = 64
"""Of each partition so many records are in memory at once."""
_DONE_AT_A_TIME = 50_000
_LEASE_SECONDS = 15.0
_PAUSE_SECONDS = 0.5

Show = Callable[[str, int, int], None]
"""What is being done, how much of it, and of how much."""


async def check_at_rest(log: Log, name: str, patience_seconds: float = _LEASE_SECONDS) -> None:
    """Nobody works on this log. A killed member counts as alive until its lease has passed."""
    until = time.monotonic() + patience_seconds
    while alive := [
        f"{member} of {group}"
        for group in await asyncio.to_thread(log.groups)
        for member in await asyncio.to_thread(log.members, group)
        if member != MEMBER
    ]:
        if time.monotonic() > until:
            raise UsageError(f"{name} is in use by {', '.join(alive[:3])}: stop it first")
        await asyncio.sleep(_PAUSE_SECONDS)


def check_begins_alike(source: Log, target: Log, name: str, show: Show) -> None:
    """What the target holds already is the beginning of the source, its cursors not further."""
    heads, ours = target.heads(), source.heads()
    if not ours.keys() <= heads.keys():
        raise UsageError(f"{name} has other topics or partitions: use one of this evolvent")
    whole, read = sum(heads.values()), 0
    for stream, end in heads.items():
        if end > ours.get(stream, 0):
            raise _gone_on(name, Position(topic=stream[0], partition=stream[1], offset=end - 1))
        here_too = source.read(*stream, 0, end) if end else ()
        for there, here in zip(target.read(*stream, 0, end), here_too, strict=True):
            if there != here:
                place = Position(topic=there.topic, partition=there.partition, offset=there.offset)
                raise _gone_on(name, place)
            read += 1
            if read % _BATCH_RECORDS == 0:
                show("looking at what is there already", read, whole)
    for group in target.groups():
        known = source.cursors(group)
        for stream, cursor in target.cursors(group).items():
            for offset in _beyond(cursor, known.get(stream, Cursor())):
                raise _gone_on(name, Position(topic=stream[0], partition=stream[1], offset=offset))


async def copy_records(source: Log, target: Bus, show: Show) -> int:
    """Append what the target does not have yet, each at its offset, in the order of their commits
    where the source knows that; how many records there are."""
    ends = await asyncio.to_thread(source.heads)
    heads = await asyncio.to_thread(target.log.heads)
    whole, there = sum(ends.values()), sum(heads.values())
    streams = sorted(ends, key=lambda stream: _order_within(stream[0]))
    numbered = [_numbered(source, stream, heads[stream], ends[stream]) for stream in streams]
    batches = _batches(record for _, record in merge(*numbered, key=itemgetter(0)))
    while batch := await asyncio.to_thread(next, batches, ()):
        await target.append(batch)
        there += len(batch)
        show("events", there, whole)
    return whole


def _order_within(topic: str) -> tuple[bool, tuple[bool, int, str]]:
    """Of one commit: causes before what answers them, and a version, which rests on all, last."""
    return topic == Weights.topic, reading_order(topic)


def _numbered(
    source: Log, stream: tuple[str, int], start: int, end: int
) -> Iterator[tuple[int, Record]]:
    """The records of a partition with the numbers of their commits, 0 where nothing says them."""
    for first in range(start, end, _WINDOW):
        last = min(first + _WINDOW, end)
        commits: Sequence[int] = ()
        if isinstance(source, HasOrder):
            with suppress(BusError):
                commits = source.commits(*stream, first, last)
        if len(commits) < last - first:
            commits = [0] * (last - first)
        yield from zip(commits, source.read(*stream, first, last), strict=True)


async def copy_cursors(source: Log, target: Bus, show: Show) -> None:
    """Every group is as far as it was, and its next owners have epochs above all former ones:
    what an owner names by its epoch stays its own, and stays older than what comes."""
    groups = await asyncio.to_thread(source.groups)
    for number, group in enumerate(groups):
        show("cursors", number, len(groups))
        lags = await asyncio.to_thread(source.lag, group)
        epoch = max(lag.epoch for lag in lags)
        behind = await asyncio.to_thread(_behind, source, target.log, group, epoch)
        if behind is None:
            continue
        topics = sorted({lag.topic for lag in lags})
        async with await asyncio.to_thread(
            target.subscribe, topics, group, MEMBER, exclusive=True, above=epoch
        ) as subscription:
            for (topic, partition), offsets in behind.items():
                for start in range(0, len(offsets), _DONE_AT_A_TIME):
                    done = [
                        Position(topic=topic, partition=partition, offset=offset)
                        for offset in offsets[start : start + _DONE_AT_A_TIME]
                    ]
                    await subscription.complete(done, [])


def _behind(
    source: Log, target: Log, group: str, epoch: int
) -> dict[tuple[str, int], list[int]] | None:
    """What is done in the source alone; None when the group is as far, under a higher epoch."""
    there = target.cursors(group)
    behind = {
        stream: list(_beyond(cursor, there.get(stream, Cursor())))
        for stream, cursor in source.cursors(group).items()
    }
    reached = max((lag.epoch for lag in target.lag(group)), default=0)
    as_far = behind.keys() == there.keys() and not any(behind.values())
    return None if reached > epoch and as_far else behind


def check_equal(source: Log, target: Log, show: Show) -> None:
    """Both hold the same records at the same offsets, and every group is as far on both."""
    heads = source.heads()
    if {stream: end for stream, end in target.heads().items() if end or stream in heads} != heads:
        raise UsageError("the source moved while it was copied: stop it, and copy again")
    whole, read = sum(heads.values()), 0
    for stream, end in heads.items():
        pairs = zip(source.read(*stream, 0, end), target.read(*stream, 0, end), strict=True)
        for here, there in pairs:
            if here != there:
                place = f"{here.topic}/{here.partition}/{here.offset}"
                raise UsageError(f"the copy differs at {place}: copy into a new folder and log")
            read += 1
            if read % _BATCH_RECORDS == 0:
                show("comparing", read, whole)
    for group in source.groups():
        if source.cursors(group) != target.cursors(group):
            raise UsageError(f"the cursors of {group} differ: stop what uses either, copy again")


def _batches(records: Iterator[Record]) -> Iterator[Sequence[Record]]:
    batch: list[Record] = []
    size = 0
    for record in records:
        if batch and (len(batch) == _BATCH_RECORDS or size + len(record.value) > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(record)
        size += len(record.value)
        if record.topic == Weights.topic:
            # Where a commit is the least that has an order, a version ends one.
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _beyond(cursor: Cursor, other: Cursor) -> Iterator[int]:
    """The offsets that are done in `cursor` and not in `other`."""
    for start, end in ((other.base, cursor.base), *cursor.runs):
        yield from (offset for offset in range(start, end) if not other.is_done(offset))


def _gone_on(name: str, place: Position) -> UsageError:
    return UsageError(
        f"{name} holds another run, or has gone on by itself, at {place.topic}/{place.partition}/"
        f"{place.offset}: choose another target"
    )
