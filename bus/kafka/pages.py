"""Reads the records of the log from their topics, each compared with what the journal says of it;
and for an audit those without a place. Knows no group."""

import asyncio
import time
from collections.abc import Mapping, Sequence

from aiokafka.admin import RecordsToDelete
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord, TopicPartition

from bus.errors import BusError
from bus.groups import Stream
from bus.kafka.batches import OURS
from bus.kafka.cluster.cluster import Cluster
from bus.kafka.cluster.refusal import is_passing
from bus.kafka.journal.journal import RETRY_SECONDS, Journal
from bus.kafka.journal.places import Lent, Reading, Scanner
from bus.kafka.journal.state import Place
from bus.log import Stray
from bus.records import Record

PATIENCE_SECONDS = 20.0
"""A broker that has just become the leader may show the newest records a moment later."""


class Pages:
    def __init__(self, cluster: Cluster, journal: Journal, scanner: Scanner) -> None:
        self._cluster, self._journal, self._scanner = cluster, journal, scanner
        self._lent = Lent(cluster, journal)

    async def read(self, stream: Stream, start: int, limit: int) -> list[Record]:
        """The records [start, start + limit) that are on the log; raises `BusError`."""
        return await self.fetch(stream, await self._scanner.places(stream, start, limit))

    async def fetch(self, stream: Stream, places: Sequence[Place]) -> list[Record]:
        """The records at these places, through any outage; raises `BusError`."""
        if not places:
            return []
        place = TopicPartition(self._cluster.topic(stream[0]), stream[1])
        missing = {one.raw: one for one in places}
        found: dict[int, Record] = {}
        async with self._lent.at(place, min(missing)) as reading:
            until = time.monotonic() + PATIENCE_SECONDS
            while missing:
                first = min(missing)
                for record in await reading.next(len(missing)):
                    if (one := missing.pop(record.offset, None)) is not None:
                        found[one.offset] = matched(self._cluster, stream, one, record)
                    until = time.monotonic() + PATIENCE_SECONDS
                if first in missing and reading.position > first:
                    raise lost(self._cluster, stream, first)
                late = bool(missing) and time.monotonic() > until
                if late and await _is_gone(reading, place, min(missing)):
                    raise lost(self._cluster, stream, min(missing))
                if late or self._journal.watch.trouble is not None:
                    until = time.monotonic() + PATIENCE_SECONDS
        return [found[one.offset] for one in places]

    async def ends(self, streams: Sequence[Stream]) -> dict[Stream, int]:
        """Where each partition ends in Kafka; raises `BusError`."""
        places = {TopicPartition(self._cluster.topic(at[0]), at[1]): at for at in streams}
        async with self._lent.at(next(iter(places)), 0) as reading:
            await self._cluster.look(reading.consumer, {topic for topic, _ in streams})
            ends = await reading.consumer.end_offsets(list(places))
        return {places[place]: end for place, end in ends.items()}

    async def check_ends(self) -> None:
        """Raises `BusError` when a topic ends before what the journal names, or the journal names
        nothing at all of topics that hold records."""
        state, until = self._journal.state, time.monotonic() + PATIENCE_SECONDS
        while True:
            ends = await self.ends(list(state.heads))
            short = [stream for stream, named in state.ends.items() if ends[stream] < named]
            if not short:
                break
            if time.monotonic() > until:
                raise lost(self._cluster, short[0], ends[short[0]])
            await asyncio.sleep(RETRY_SECONDS)
        full = [stream for stream, end in ends.items() if end]
        if full and not state.num_entries:
            topic, part = full[0]
            raise BusError(
                f"The journal of {self._cluster.app} is empty, but {self._cluster.topic(topic)}/"
                f"{part} holds {ends[full[0]]} records: the journal was emptied or made anew; "
                "restore it."
            )

    async def remove(self, below: Mapping[Stream, int]) -> None:
        """Let Kafka delete what lies below, of a log that says so; raises `BusError`."""
        gone = {}
        for stream, offset in below.items():
            raw = min(await self.lowest(stream, offset), self._journal.state.floors.get(stream, 0))
            at = TopicPartition(self._cluster.topic(stream[0]), stream[1])
            gone[at] = RecordsToDelete(before_offset=raw)
        async with self._cluster.admin() as admin:
            try:
                await admin.delete_records(gone)
            except (KafkaError, OSError, TimeoutError) as error:
                raise await self._cluster.explained(error) from error

    async def lowest(self, stream: Stream, first: int) -> int:
        """The lowest of Kafka's offsets that whoever reads on from `first` asks for. Where writers
        overlap a later record lies before it, and a reader begins behind the last that is done."""
        raws, offset = list[int](), max(first - 1, 0)
        while page := await self._scanner.places(stream, offset, 10_000):
            raws.append(min(one.raw + (one.offset < first) for one in page))
            offset = page[-1].offset + 1
        return min(raws)

    async def strays(self, stream: Stream) -> list[Stray]:
        """Every record of a partition without a place on the log; raises `BusError`."""
        place = TopicPartition(self._cluster.topic(stream[0]), stream[1])
        end = (await self.ends([stream]))[stream]
        offset, known = await self._placed(stream, 0, bytearray(end // 8 + 1))
        found: list[ConsumerRecord] = []
        async with self._lent.at(place, 0) as reading:
            first = (await reading.consumer.beginning_offsets([place]))[place]
            reading.go(max(first, reading.position))
            while reading.position < end:
                found += [
                    one
                    for one in await reading.next()
                    if one.offset < end
                    and not known[one.offset // 8] >> one.offset % 8 & 1
                    # Earlier programs touched partitions with empty records.
                    and (one.value or not is_ours(one))
                ]
        if found:
            # What was being written has its place meanwhile.
            await self._journal.catch_up()
            _, known = await self._placed(stream, offset, known)
        return [
            Stray(
                stream=stream,
                raw=one.offset,
                event_id=record_of(stream, -1, one).event_id,
                ours=is_ours(one),
            )
            for one in found
            if not known[one.offset // 8] >> one.offset % 8 & 1
        ]

    async def _placed(self, stream: Stream, offset: int, known: bytearray) -> tuple[int, bytearray]:
        """`known` with a bit for each of Kafka's offsets that has a place from `offset` on."""
        while page := await self._scanner.places(stream, offset, 10_000):
            offset = page[-1].offset + 1
            for one in page:
                if one.raw // 8 < len(known):
                    known[one.raw // 8] |= 1 << one.raw % 8
        return offset, known

    async def stop(self) -> None:
        await self._lent.stop()


async def _is_gone(reading: Reading, place: TopicPartition, raw: int) -> bool:
    """Whether Kafka says so: that nothing comes may be the fault of a client on a busy machine."""
    try:
        begin = (await reading.consumer.beginning_offsets([place]))[place]
        end = (await reading.consumer.end_offsets([place]))[place]
    except KafkaError as error:
        if not is_passing(error):
            raise
        return False
    return not begin <= raw < end


def matched(cluster: Cluster, stream: Stream, place: Place, record: ConsumerRecord) -> Record:
    """The record under its place on the log; raises `BusError` when it is another one than the
    journal names."""
    found = record_of(stream, place.offset, record)
    entry_id = (record.headers[-1][1] or b"").decode("utf-8", "replace") if is_ours(record) else ""
    if (found.event_id, entry_id) != (place.event_id, place.entry_id):
        raise _damaged(
            cluster, stream, place.raw, f"holds {found.event_id or 'another record'!r}, not"
            f" {place.event_id!r} as the journal says",
        )  # fmt: skip
    return found


def lost(cluster: Cluster, stream: Stream, raw: int) -> BusError:
    """The journal names a record, and it is gone."""
    return _damaged(cluster, stream, raw, "is on the journal, but not in the topic")


def _damaged(cluster: Cluster, stream: Stream, raw: int, how: str) -> BusError:
    return BusError(
        f"The log is damaged: the record at Kafka's offset {raw} of {cluster.topic(stream[0])}/"
        f"{stream[1]} {how}: restore the topic."
    )


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
