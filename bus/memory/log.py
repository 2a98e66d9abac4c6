"""A log of records inside one process, and the wake-up of those who wait. Knows no group."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

from bus.errors import BusError
from bus.events import Event
from bus.groups import Stream
from bus.records import Record, to_records
from bus.topics import Topic


class MemoryLog:
    def __init__(self, topics: Mapping[str, Topic]) -> None:
        self.topics = topics
        self.streams: dict[Stream, list[Record]] = {
            (topic.name, part): [] for topic in topics.values() for part in range(topic.partitions)
        }
        self.order: dict[Stream, list[int]] = {stream: [] for stream in self.streams}
        """Of each record how many there were with it."""
        self._num_records = 0
        self.ids: dict[str, Record] = {}
        self.closed = False
        self._waiters: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}

    def encoded(self, events: Sequence[Event]) -> list[Record]:
        """Records still without their offsets; raises `BusError`."""
        self.check_open()
        return to_records(events, self.topics)

    def append(self, records: Sequence[Record]) -> None:
        for record in records:
            if record.event_id not in self.ids:
                stream = self.streams[record.topic, record.partition]
                placed = replace(record, offset=len(stream))
                stream.append(placed)
                self._num_records += 1
                self.order[record.topic, record.partition].append(self._num_records)
                if record.event_id:
                    self.ids[record.event_id] = placed
        self.wake()

    def check_open(self) -> None:
        if self.closed:
            raise BusError("The bus is closed.")

    def wake(self) -> None:
        # Who joins a group may do so in a thread of its own.
        for event, loop in list(self._waiters.items()):
            loop.call_soon_threadsafe(event.set)

    async def news(self, timeout_seconds: float | None = None) -> bool:
        """Wait for a change; False when none came in time."""
        event = asyncio.Event()
        self._waiters[event] = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout_seconds):  # `wait_for` of 3.11 may swallow a cancel
                await event.wait()
        except TimeoutError:
            return False
        finally:
            del self._waiters[event]
        return True
