"""Fetches the records of the partitions that a member owns, ahead of the one who takes them.

Records come in Kafka's order and leave in the journal's, which differs where writers overlap:
early ones wait on their shelf, and for one that was passed by the reader goes back.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord, TopicPartition

from bus.errors import BusError
from bus.kafka.cluster import Cluster
from bus.kafka.entry import Places
from bus.kafka.journal import RETRY_SECONDS, Journal
from bus.kafka.pages import is_ours
from bus.kafka.refusal import in_words, is_passing
from bus.shares import Stream

MAX_WAITING = 1_000
MAX_WAITING_BYTES = 16 * 1024 * 1024
"""Of one partition, after which its reading pauses."""

PAGE = 500
LOOK_AROUND = 1_000
"""Overlapping writers disturb the order over fewer records than that."""


@dataclass(slots=True)
class Shelf:
    """One owned partition: `arrived` by Kafka's offset; `ready` in order; `open` was taken and
    is not done; `next` is the first offset that is not ready yet."""

    epoch: int
    next: int
    position: int
    arrived: dict[int, ConsumerRecord] = field(default_factory=dict)
    ready: deque[tuple[int, ConsumerRecord]] = field(default_factory=deque)
    open: set[int] = field(default_factory=set)
    num_bytes: int = 0
    releasing: bool = False

    @property
    def full(self) -> bool:
        waiting = len(self.arrived) + len(self.ready)
        return waiting >= MAX_WAITING or (waiting > 1 and self.num_bytes >= MAX_WAITING_BYTES)

    def put(self, record: ConsumerRecord) -> None:
        self.position = record.offset + 1
        if record.offset not in self.arrived:
            self.num_bytes += len(record.value or b"")
        self.arrived[record.offset] = record

    def drop(self, raw: int) -> None:
        self.num_bytes -= len(self.arrived.pop(raw).value or b"")

    def pop(self) -> tuple[int, ConsumerRecord]:
        offset, record = self.ready.popleft()
        self.num_bytes -= len(record.value or b"")
        self.open.add(offset)
        return offset, record


class Inbox:
    """`shelves` is guarded by the state's lock. `adopt` is called with foreign records."""

    def __init__(
        self,
        cluster: Cluster,
        journal: Journal,
        group: str,
        adopt: Callable[[Mapping[Stream, Places]], None],
    ) -> None:
        self.shelves: dict[Stream, Shelf] = {}
        self.failure: BusError | None = None
        self._cluster, self._journal, self._group = cluster, journal, group
        self._adopt = adopt
        self._consumer = self._new_consumer()
        self._assigned: dict[Stream, Shelf] = {}
        self._moved = asyncio.Event()

    async def start(self) -> None:
        """Raises `BusError`; may be tried again."""
        try:
            await self._cluster.start(self._consumer)
        except BusError:
            self._consumer = self._new_consumer()
            raise

    def _new_consumer(self) -> AIOKafkaConsumer:
        return self._cluster.consumer(max_wait_seconds=0.1)

    async def stop(self) -> None:
        await self._cluster.stop(self._consumer)

    def follow(self, owned: Mapping[Stream, int]) -> None:
        """A shelf for every partition owned under its epoch, and no other; under the lock."""
        for stream in [at for at, shelf in self.shelves.items() if owned.get(at) != shelf.epoch]:
            del self.shelves[stream]
        holdings = self._journal.state.group(self._group).holdings
        for stream, epoch in owned.items():
            if stream not in self.shelves:
                base = holdings[stream].cursor.base
                raws = self._journal.state.raws[stream]
                # From behind the last that is done on: records of others may lie in between.
                around = [*raws[base : base + LOOK_AROUND], raws[base - 1] + 1 if base else 0]
                self.shelves[stream] = Shelf(epoch, base, min(around))
        self.match()
        self._moved.set()

    def match(self) -> None:
        """Make ready what has arrived and is on the journal; under the lock."""
        holdings = self._journal.state.group(self._group).holdings
        for stream, shelf in self.shelves.items():
            raws, cursor = self._journal.state.raws[stream], holdings[stream].cursor
            while True:
                shelf.next = cursor.first_open(shelf.next)
                if shelf.next >= len(raws) or raws[shelf.next] not in shelf.arrived:
                    break
                record = shelf.arrived.pop(raws[shelf.next])
                shelf.ready.append((shelf.next, record))
                shelf.next += 1

    def lacking(self) -> bool:
        """Whether a record that is on the journal has not come yet; under the lock."""
        return any(
            not shelf.ready and shelf.next < len(self._journal.state.raws[stream])
            for stream, shelf in self.shelves.items()
        )

    def wake(self) -> None:
        self._moved.set()

    async def run(self) -> None:
        while self.failure is None:
            try:
                await self._step()
            except KafkaError as error:
                if not is_passing(error):
                    self.failure = BusError(
                        f"The topics of {self._cluster.app} cannot be read ({in_words(error)}): "
                        "records were deleted, or must not be read."
                    )
                    self._journal.notify()
                await asyncio.sleep(RETRY_SECONDS)

    async def _step(self) -> None:
        self._moved.clear()
        with self._journal.state.lock:
            self._reassign()
            hungry = [
                self._place(at) for at, shelf in self.shelves.items() if self._tidy(at, shelf)
            ]
        if not hungry:
            await self._moved.wait()
            return
        pages = await self._consumer.getmany(*hungry, timeout_ms=100, max_records=PAGE)
        if not pages:
            return
        strangers: dict[Stream, Places] = {}
        with self._journal.state.lock:
            for stream, shelf in self._assigned.items():
                records = pages.get(self._place(stream), ())
                if foreign := [one for one in records if self._is_foreign(stream, one)]:
                    strangers[stream] = Places(
                        [one.offset for one in foreign], [_id(one) for one in foreign]
                    )
                for record in records:
                    shelf.put(record)
            self.match()
        if strangers:
            self._adopt(strangers)
        self._journal.notify()

    def _reassign(self) -> None:
        if len(self._assigned) == len(self.shelves) and all(
            self._assigned.get(at) is shelf for at, shelf in self.shelves.items()
        ):
            return
        self._assigned = dict(self.shelves)
        self._consumer.assign([self._place(stream) for stream in self._assigned])
        for stream, shelf in self._assigned.items():
            self._consumer.seek(self._place(stream), shelf.position)

    def _tidy(self, stream: Stream, shelf: Shelf) -> bool:
        """Whether to read on. Nothing is lost by what is dropped: it is read again when due."""
        raws = self._journal.state.raws[stream]
        wanted = raws[shelf.next] if shelf.next < len(raws) else None
        if shelf.full:
            # While nothing is ready, all that has arrived keeps out what is wanted.
            limit = wanted if shelf.ready else None
            for raw in [raw for raw in shelf.arrived if limit is None or raw < limit]:
                shelf.drop(raw)
        if wanted is None or wanted >= shelf.position:
            return not shelf.full
        if not shelf.ready:
            shelf.position = wanted
            self._consumer.seek(self._place(stream), wanted)
        return not shelf.ready

    def _is_foreign(self, stream: Stream, record: ConsumerRecord) -> bool:
        return not is_ours(record) and not self._journal.state.is_foreign(stream, record.offset)

    def _place(self, stream: Stream) -> TopicPartition:
        return TopicPartition(self._cluster.topic(stream[0]), stream[1])


def _id(record: ConsumerRecord) -> str:
    for name, value in record.headers:
        if name == "ce_id":
            return bytes(value or b"").decode("utf-8", "replace")
    return ""
