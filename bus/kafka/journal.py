"""Reads the journal as it grows and keeps the state that it tells. Knows no member and no data."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from bus.errors import BusError
from bus.kafka.cluster import Cluster
from bus.kafka.entry import Entry
from bus.kafka.refusal import is_passing
from bus.kafka.state import State
from bus.kafka.topics import BEATS, JOURNAL
from bus.kafka.watch import Watch
from bus.topics import Topic

RETRY_SECONDS = 0.5


class Journal:
    """`listeners` are called, in the bus's thread, after every change of the state; `on_beat`
    with every sign of life of a member."""

    def __init__(self, cluster: Cluster, topics: Mapping[str, Topic]) -> None:
        self.state = State(topics)
        self.failure: BusError | None = None
        self.listeners: list[Callable[[], None]] = []
        self.on_beat: Callable[[bytes], None] = lambda _: None
        self._cluster = cluster
        self._place = TopicPartition(cluster.topic(JOURNAL), 0)
        self._beats = TopicPartition(cluster.topic(BEATS), 0)
        self._reader = cluster.consumer()
        self.watch = Watch(cluster, self._place)
        self._position = 0
        self._moved = asyncio.Event()
        self._verdicts: dict[str, asyncio.Future[bool]] = {}
        self._news = threading.Lock()
        self._waiters: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    async def start(self) -> None:
        await self.watch.start()
        await self._cluster.start(self._reader)
        beats = (await self._reader.end_offsets([self._beats]))[self._beats]
        self._reader.assign([self._place, self._beats])
        self._reader.seek(self._place, 0)
        self._reader.seek(self._beats, beats)

    async def run(self) -> None:
        """For ever; a journal that cannot be read is the end of the bus."""
        try:
            while self.failure is None:
                try:
                    await self._step()
                except (BusError, ValueError) as error:
                    self.failure = BusError(
                        f"The journal of {self._cluster.app} is broken: {error}."
                    )
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

    def verdict(self, entry_id: str) -> "asyncio.Future[bool]":
        """Comes true or false when the entry has been read: whether it holds."""
        if self.failure is not None:
            raise self.failure
        verdict = asyncio.get_running_loop().create_future()
        self._verdicts[entry_id] = verdict
        return verdict

    def forget(self, entry_id: str) -> None:
        self._verdicts.pop(entry_id, None)

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
        self.failure = self.failure or BusError("The bus is closed.")
        await asyncio.gather(self._cluster.stop(self._reader), self.watch.stop())
        self._tell()

    async def _step(self) -> None:
        pages = await self._reader.getmany(timeout_ms=1000)
        for record in pages.get(self._beats, ()):
            self.on_beat(record.value or b"")
        entries = pages.get(self._place, ())
        if entries:
            with self.state.lock:
                for record in entries:
                    entry = Entry.decode(record.value or b"")
                    holds = self.state.apply(entry)
                    if (verdict := self._verdicts.pop(entry.id, None)) and not verdict.done():
                        verdict.set_result(holds)
        self._position = await self._reader.position(self._place)
        if entries:
            self._tell()
        self._moved.set()

    def _tell(self) -> None:
        self._moved.set()
        if self.failure is not None:
            for verdict in self._verdicts.values():
                if not verdict.done():
                    verdict.set_exception(self.failure)
            self._verdicts.clear()
        for listener in list(self.listeners):
            listener()
        self.notify()
