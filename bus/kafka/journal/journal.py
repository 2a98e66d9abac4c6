"""Reads the journal as it grows and keeps the state that it tells. Knows no member and no data."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

from aiokafka.errors import KafkaError, OffsetOutOfRangeError
from aiokafka.structs import TopicPartition

from bus.errors import BusError
from bus.kafka.cluster.cluster import Cluster
from bus.kafka.cluster.refusal import is_passing
from bus.kafka.cluster.topics import BEATS, JOURNAL
from bus.kafka.cluster.watch import Watch
from bus.kafka.journal.snapshots import EVERY_BYTES, Snapshot, newest, taken
from bus.kafka.journal.state import State, Verdict
from bus.topics import Topic

RETRY_SECONDS = 0.5
STALE_SECONDS = 2.0


class Outcome(NamedTuple):
    """Where an entry of ours lies on the journal, and what came of it."""

    position: int
    verdict: Verdict


class Journal:
    """`listeners` are called, in the bus's thread, after every change of the state; `on_beat`
    with every sign of life of a member; `on_snapshot` with a state to be kept."""

    def __init__(self, cluster: Cluster, topics: Mapping[str, Topic]) -> None:
        self.state = State(topics)
        self.failure: BusError | None = None
        self.listeners: list[Callable[[], None]] = []
        self.on_beat: Callable[[bytes], None] = lambda _: None
        self.on_snapshot: Callable[[Snapshot], None] = lambda _: None
        self._cluster, self._topics = cluster, topics
        self._place = TopicPartition(cluster.topic(JOURNAL), 0)
        self._beats = TopicPartition(cluster.topic(BEATS), 0)
        self._reader = cluster.consumer()
        self.watch = Watch(cluster, self._place)
        self._position = 0
        self._began = self._looked = 0.0
        self._moved = asyncio.Event()
        self._outcomes: dict[str, asyncio.Future[Outcome]] = {}
        self._news = threading.Lock()
        self._waiters: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    async def start(self, has_snapshots: bool) -> None:
        """Raises `BusError` or `KafkaError`."""
        await self.watch.start()
        await self._cluster.start(self._reader)
        await self._cluster.look(self._reader, [JOURNAL, BEATS])
        first = (await self._reader.beginning_offsets([self._place]))[self._place]
        if first > 0:
            raise self._shortened(first)
        if has_snapshots:
            self.state = await newest(self._cluster, self._topics) or self.state
        self._position = self.state.position
        beats = (await self._reader.end_offsets([self._beats]))[self._beats]
        self._reader.assign([self._place, self._beats])
        self._reader.seek(self._place, self._position)
        self._reader.seek(self._beats, beats)

    async def run(self) -> None:
        """For ever; a journal that cannot be read is the end of the bus."""
        try:
            while self.failure is None:
                try:
                    await self._step()
                except OffsetOutOfRangeError:
                    self.failure = self._shortened(self._position)
                except BusError as error:
                    self.failure = error
                except KafkaError as error:
                    if not is_passing(error):
                        self.failure = self._cluster.unreachable(error)
                    await asyncio.sleep(RETRY_SECONDS)
        finally:
            self.failure = self.failure or BusError("The bus is closed.")
            self._tell()

    async def catch_up(self) -> None:
        """See every commit that was visible when this was called, through any outage; raises
        `BusError`."""
        end = await self.watch.end()
        while self._position < end:
            if self.failure is not None:
                raise self.failure
            self._moved.clear()
            await self._moved.wait()

    async def refresh(self) -> None:
        """Catch up when nobody has looked for a while, as after a sleep of the process."""
        if time.monotonic() - self._looked > STALE_SECONDS:
            await self.catch_up()

    def outcome(self, entry_id: str) -> "asyncio.Future[Outcome]":
        """Comes when the entry has been read."""
        if self.failure is not None:
            raise self.failure
        outcome = asyncio.get_running_loop().create_future()
        self._outcomes[entry_id] = outcome
        return outcome

    def forget(self, entry_id: str) -> None:
        self._outcomes.pop(entry_id, None)

    @contextmanager
    def waiting(self) -> Iterator[asyncio.Event]:
        """An event of the caller's loop that is set at every change."""
        waiter = (asyncio.get_running_loop(), asyncio.Event())
        with self._news:
            self._waiters.add(waiter)
        try:
            yield waiter[1]
        finally:
            with self._news:
                self._waiters.discard(waiter)

    def notify(self) -> None:
        with self._news:
            for loop, event in self._waiters:
                loop.call_soon_threadsafe(event.set)

    async def stop(self) -> None:
        await asyncio.gather(self.watch.stop(), self._cluster.stop(self._reader))

    async def _step(self) -> None:
        # What comes now was asked for in the step before, if not earlier.
        looked, self._began = self._began, time.monotonic()
        pages = await self._reader.getmany(timeout_ms=500)
        for record in pages.get(self._beats, ()):
            self.on_beat(record.value or b"")
        records = pages.get(self._place, ())
        snapshot = None
        with self.state.lock:
            for record in records:
                snapshot = self._apply(record.offset, record.value or b"") or snapshot
        self._position = await self._reader.position(self._place)
        self._looked = looked
        if snapshot is not None:
            self.on_snapshot(snapshot)
        if records:
            self._tell()
        self._moved.set()

    def _apply(self, position: int, value: bytes) -> Snapshot | None:
        """A snapshot is taken every so many bytes, by whoever wrote the last of them."""
        before = self.state.num_bytes // EVERY_BYTES
        applied = self.state.apply(position, value)
        if applied is None:
            return None
        entry, verdict = applied
        waiter = self._outcomes.pop(entry.id, None)
        if waiter is None:
            return None
        if not waiter.done():
            waiter.set_result(Outcome(position, verdict))
        due = self.state.num_bytes // EVERY_BYTES > before
        return taken(self.state) if due else None

    def _tell(self) -> None:
        self._moved.set()
        if self.failure is not None:
            for outcome in self._outcomes.values():
                if not outcome.done():
                    outcome.set_exception(self.failure)
                    outcome.exception()  # Whoever has gone meanwhile is not to be told.
            self._outcomes.clear()
        for listener in list(self.listeners):
            listener()
        self.notify()

    def _shortened(self, first: int) -> BusError:
        return BusError(
            f"The journal of {self._cluster.app} has lost its beginning: the topic "
            f"{self._place.topic}/0 starts at Kafka's offset {first}; restore it, without it the "
            "order of the log is unknown."
        )
