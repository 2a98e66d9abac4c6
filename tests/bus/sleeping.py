"""A log that answers slowly and only while the event loop goes round: whoever reads it on the loop,
or holds the loop up until it has been read, fails.
"""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from bus.bus import Bus, Subscription
from bus.cursor import Cursor
from bus.events import Event
from bus.log import Cut, Log
from bus.records import Lag, Record

_SLEEP_SECONDS = 0.002

T = TypeVar("T")


class SleepingLog:
    """Implements `Log` over another, for readers whose loop is the one that made it."""

    def __init__(self, log: Log, patience_seconds: float) -> None:
        self._log = log
        self._patience_seconds = patience_seconds
        self._loop = asyncio.get_running_loop()
        self.num_calls = 0

    def read(
        self, topic: str, partition: int = 0, start: int = 0, end: int | None = None
    ) -> Iterator[Record]:
        for record in self._slowly(lambda: list(self._log.read(topic, partition, start, end))):
            _check_thread()
            yield record

    def heads(self) -> dict[tuple[str, int], int]:
        return self._slowly(self._log.heads)

    def starts(self) -> dict[tuple[str, int], int]:
        return self._slowly(self._log.starts)

    def cut(self) -> Cut:
        return self._slowly(self._log.cut)

    def find(self, event_id: str) -> Record | None:
        return self._slowly(lambda: self._log.find(event_id))

    def lag(self, group: str) -> list[Lag]:
        return self._slowly(lambda: self._log.lag(group))

    def cursors(self, group: str) -> dict[tuple[str, int], Cursor]:
        return self._slowly(lambda: self._log.cursors(group))

    def groups(self) -> list[str]:
        return self._slowly(self._log.groups)

    def members(self, group: str) -> list[str]:
        return self._slowly(lambda: self._log.members(group))

    def _slowly(self, call: Callable[[], T]) -> T:
        _check_thread()
        self.num_calls += 1
        time.sleep(_SLEEP_SECONDS)
        went_round = threading.Event()
        self._loop.call_soon_threadsafe(went_round.set)
        assert went_round.wait(self._patience_seconds), "the event loop waits for the log"
        return call()


class SleepingBus:
    """Implements `Bus` over another; what is read of it sleeps."""

    def __init__(self, bus: Bus, patience_seconds: float = 10.0) -> None:
        self._bus = bus
        self._log = SleepingLog(bus.log, patience_seconds)

    @property
    def log(self) -> SleepingLog:
        return self._log

    async def publish(self, events: Sequence[Event]) -> None:
        await self._bus.publish(events)

    async def append(self, records: Sequence[Record]) -> None:
        await self._bus.append(records)

    async def trim(self, below: Mapping[tuple[str, int], int]) -> None:
        await self._bus.trim(below)

    def subscribe(
        self,
        topics: Sequence[str],
        group: str,
        member: str,
        *,
        exclusive: bool = False,
        above: int = 0,
    ) -> Subscription:
        return self._bus.subscribe(topics, group, member, exclusive=exclusive, above=above)

    def follow(self, topic: str, start: int = 0) -> AsyncIterator[Record]:
        return self._bus.follow(topic, start)

    async def close(self) -> None:
        await self._bus.close()


def _check_thread() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise AssertionError("the log is read on an event loop")
