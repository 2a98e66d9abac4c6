"""Fetches the records of the partitions that a member owns, ahead of the one who takes them.

Records come in Kafka's order and leave in the journal's, which differs where writers overlap:
early ones wait on their shelf, and for one that was passed by the reader goes back.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord, TopicPartition

from bus.errors import BusError, Unreachable
from bus.groups import Stream
from bus.kafka.cluster.cluster import Cluster
from bus.kafka.cluster.refusal import in_words, is_passing
from bus.kafka.journal.entry import Places
from bus.kafka.journal.journal import RETRY_SECONDS, Journal
from bus.kafka.journal.places import Scanner, Window
from bus.kafka.pages import is_ours, lost, matched
from bus.records import Record

MAX_WAITING = 1_000
MAX_WAITING_BYTES = 16 * 1024 * 1024
"""Of one partition, after which its reading pauses."""

PAGE = 500
LOOK_AROUND = 1_000
"""Overlapping writers disturb the order over fewer records than that."""

TELL_SECONDS = 1.0
"""Kafka's own offset of a group is kept so often, for those who look with other tools."""

_GAVE_UP = "during coordination"
"""What aiokafka 0.14 says for ever when partitions were assigned anew while it looked for the
coordinator of its group."""


@dataclass(slots=True)
class Shelf(Window):
    """One owned partition: `arrived` by Kafka's offset; `ready` in order; `open` was taken and is
    not done, with its offset in Kafka. `position` is where to read on, None until the journal has
    said where."""

    epoch: int = 0
    next: int = 0
    position: int | None = None
    sought: int = -1
    arrived: dict[int, ConsumerRecord] = field(default_factory=dict)
    ready: deque[tuple[int, Record]] = field(default_factory=deque)
    open: dict[int, int] = field(default_factory=dict)
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

    def pop(self) -> tuple[int, Record]:
        raw, record = self.ready.popleft()
        self.num_bytes -= len(record.value)
        self.open[record.offset] = raw
        return record.offset, record

    def close(self, offsets: Iterable[int]) -> None:
        for offset in offsets:
            self.open.pop(offset, None)

    def lowest(self) -> int | None:
        """Kafka's offset of the first record that is not done, as far as is known."""
        if self.open:
            return min(self.open.values())
        if self.ready:
            return self.ready[0][0]
        return self.places[0].raw if self.places else self.position


class Inbox:
    """`shelves` is guarded by the state's lock. `adopt` is called with foreign records."""

    def __init__(
        self,
        cluster: Cluster,
        journal: Journal,
        scanner: Scanner,
        group: str,
        adopt: Callable[[Mapping[Stream, Places]], None],
    ) -> None:
        self.shelves: dict[Stream, Shelf] = {}
        self.failure: BusError | None = None
        self._cluster, self._journal, self._scanner = cluster, journal, scanner
        self._group, self._adopt = group, adopt
        self._consumer = self._new_consumer()
        self._assigned: dict[Stream, Shelf] = {}
        self._told: dict[TopicPartition, int] = {}
        self._moved = asyncio.Event()
        self._gave_up = False

    async def start(self) -> None:
        """Raises `BusError`; may be tried again."""
        try:
            await self._cluster.start(self._consumer)
        except BusError:
            self._consumer = self._new_consumer()
            raise

    def _new_consumer(self) -> AIOKafkaConsumer:
        return self._cluster.consumer(
            max_wait_seconds=0.1, group=f"{self._cluster.app}.{self._group}"
        )

    async def stop(self) -> None:
        self.follow({})
        await self._cluster.stop(self._consumer)

    def follow(self, owned: Mapping[Stream, int]) -> None:
        """A shelf for every partition owned under its epoch, and no other; under the lock."""
        feeds = self._journal.state.feeds
        for stream in [at for at, shelf in self.shelves.items() if owned.get(at) != shelf.epoch]:
            feeds[stream].remove(self.shelves.pop(stream).learn)
        holdings = self._journal.state.group(self._group).holdings
        for stream, epoch in owned.items():
            if stream not in self.shelves:
                base = holdings[stream].cursor.base
                shelf = self.shelves[stream] = Shelf(base, epoch=epoch, next=base)
                feeds.setdefault(stream, []).append(shelf.learn)
        self.match()
        self._moved.set()

    def match(self) -> None:
        """Make ready what has arrived and is on the journal; under the lock."""
        holdings = self._journal.state.group(self._group).holdings
        for stream, shelf in self.shelves.items():
            cursor = holdings[stream].cursor
            while shelf.places:
                place = shelf.places[0]
                shelf.next = cursor.first_open(shelf.next)
                if place.offset >= shelf.next:
                    record = shelf.arrived.pop(place.raw, None)
                    if record is None:
                        break
                    found = matched(self._cluster, stream, place, record)
                    shelf.ready.append((place.raw, found))
                    shelf.next += 1
                shelf.places.popleft()

    def lacking(self) -> bool:
        """Whether a record that is on the journal has not come yet; under the lock."""
        return any(
            not shelf.ready and shelf.next < self._journal.state.heads[stream]
            for stream, shelf in self.shelves.items()
        )

    def wake(self) -> None:
        self._moved.set()

    async def run(self) -> None:
        telling = asyncio.create_task(self._tell())
        try:
            while self.failure is None:
                try:
                    if self._gave_up:
                        await self._replace_consumer()
                    await self._step()
                except BusError as error:
                    self._fail(error)
                except KafkaError as error:
                    self._gave_up = _GAVE_UP in str(error)
                    if not self._gave_up and not is_passing(error):
                        self._fail(
                            BusError(
                                f"The topics of {self._cluster.app} cannot be read "
                                f"({in_words(error)}): records were deleted, or must not be read."
                            )
                        )
                    await asyncio.sleep(RETRY_SECONDS)
        finally:
            telling.cancel()

    async def _replace_consumer(self) -> None:
        """Members that come and go move partitions faster than the client finds its coordinator."""
        await self._cluster.stop(self._consumer)
        self._consumer, self._assigned = self._new_consumer(), {}
        await self._journal.watch.over()
        with suppress(Unreachable):
            await self.start()
            self._gave_up = False

    def _fail(self, failure: BusError) -> None:
        self.failure = failure
        self._journal.notify()

    async def _step(self) -> None:
        self._moved.clear()
        await self._look_up()
        with self._journal.state.lock:
            self._reassign()
            hungry = [
                self._place(at)
                for at, shelf in self._assigned.items()
                if self.shelves.get(at) is shelf and self._tidy(at, shelf)
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
                if not records:
                    continue
                if foreign := [one for one in records if self._is_foreign(stream, one)]:
                    strangers[stream] = Places(
                        [one.offset for one in foreign], [_id(one) for one in foreign]
                    )
                if 0 <= shelf.sought < records[0].offset:
                    raise lost(self._cluster, stream, shelf.sought)
                shelf.sought = -1
                for record in records:
                    shelf.put(record)
            self.match()
        if strangers:
            self._adopt(strangers)
        self._journal.notify()

    async def _look_up(self) -> None:
        """Ask the journal for the places of what comes next, where it was not listened to."""
        heads, holdings = self._journal.state.heads, self._journal.state.group(self._group).holdings
        for stream, shelf in list(self.shelves.items()):
            with self._journal.state.lock:
                if shelf.position is not None:
                    shelf.next = holdings[stream].cursor.first_open(shelf.next)
                if not shelf.places:
                    shelf.end = max(shelf.end, shelf.next)
                needed = shelf.end < heads[stream] and len(shelf.places) < PAGE
            if shelf.position is None:
                # From behind the last that is done on: records of others may lie in between.
                base = shelf.next
                places = await self._scanner.places(stream, max(base - 1, 0), LOOK_AROUND)
                raws = [one.raw + (one.offset < base) for one in places]
                with self._journal.state.lock:
                    shelf.position = min(raws, default=0) if base else 0
                    shelf.learn(places)
            elif needed:
                places = await self._scanner.places(stream, shelf.end, LOOK_AROUND)
                with self._journal.state.lock:
                    shelf.learn(places)
            else:
                continue
            with self._journal.state.lock:
                self.match()

    def _reassign(self) -> None:
        known = {at: shelf for at, shelf in self.shelves.items() if shelf.position is not None}
        if len(self._assigned) == len(known) and all(
            self._assigned.get(at) is shelf for at, shelf in known.items()
        ):
            return
        self._assigned = known
        self._consumer.assign([self._place(stream) for stream in known])
        for stream, shelf in known.items():
            self._consumer.seek(self._place(stream), shelf.position)

    def _tidy(self, stream: Stream, shelf: Shelf) -> bool:
        """Whether to read on. Nothing is lost by what is dropped: it is read again when due."""
        wanted = shelf.places[0].raw if shelf.places else None
        if shelf.full:
            # While nothing is ready, all that has arrived keeps out what is wanted.
            limit = wanted if shelf.ready else None
            for raw in [raw for raw in shelf.arrived if limit is None or raw < limit]:
                shelf.drop(raw)
        assert shelf.position is not None
        if wanted is None or wanted >= shelf.position:
            return not shelf.full
        if not shelf.ready and shelf.sought != wanted:
            shelf.position = shelf.sought = wanted
            self._consumer.seek(self._place(stream), wanted)
        return not shelf.ready

    async def _tell(self) -> None:
        """Kafka's own offset of each partition: where the lowest record not done lies. The journal
        knows the whole cursor; this is for those who look with other tools."""
        while True:
            await asyncio.sleep(TELL_SECONDS)
            with self._journal.state.lock:
                now = {
                    self._place(stream): raw
                    for stream, shelf in self._assigned.items()
                    if (raw := shelf.lowest()) is not None
                }
            fresh = {at: raw for at, raw in now.items() if self._told.get(at) != raw}
            with suppress(KafkaError, TimeoutError, OSError):
                if fresh and self._journal.watch.trouble is None:
                    # Waited for, however slow: a client that is cancelled may lose a connection.
                    await self._consumer.commit(fresh)
                    self._told |= fresh

    def _is_foreign(self, stream: Stream, record: ConsumerRecord) -> bool:
        return not is_ours(record) and not self._journal.state.is_foreign(stream, record.offset)

    def _place(self, stream: Stream) -> TopicPartition:
        return TopicPartition(self._cluster.topic(stream[0]), stream[1])


def _id(record: ConsumerRecord) -> str:
    for name, value in record.headers:
        if name == "ce_id":
            return bytes(value or b"").decode("utf-8", "replace")
    return ""
