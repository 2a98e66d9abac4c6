"""A log as a bus that is read only: for whoever opens a run to look at it. Knows no driver."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import NoReturn

from bus.bus import Bus, Subscription
from bus.errors import BusError
from bus.events import Event
from bus.groups import Stream
from bus.log import Log
from bus.records import Record


class ReadBus:
    """Implements `Bus` for reading `log`, of the run's own bus `live` where that is open too.
    Raises `BusError` where something is to be written."""

    def __init__(self, log: Log, live: Bus | None = None) -> None:
        self.log = log
        self._live = live

    async def publish(self, events: Sequence[Event]) -> None:
        _refuse()

    async def append(self, records: Sequence[Record]) -> None:
        _refuse()

    async def trim(self, below: Mapping[Stream, int]) -> None:
        _refuse()

    def subscribe(
        self,
        topics: Sequence[str],
        group: str,
        member: str,
        *,
        exclusive: bool = False,
        above: int = 0,
    ) -> Subscription:
        _refuse()

    async def follow(self, topic: str, start: int = 0) -> AsyncIterator[Record]:
        """What is there, partition by partition, and then what comes on the live one."""
        heads = {stream: end for stream, end in self.log.heads().items() if stream[0] == topic}
        for stream in heads:
            for record in self.log.read(*stream, start):
                yield record
        if self._live is None:
            await asyncio.Event().wait()
            return
        async for record in self._live.follow(topic, min(heads.values(), default=0)):
            if record.offset >= max(start, heads[record.topic, record.partition]):
                yield record

    async def close(self) -> None:
        if self._live is not None:
            await self._live.close()


def _refuse() -> NoReturn:
    raise BusError("This log was opened for reading only.")
