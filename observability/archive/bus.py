"""An archive as a bus that is read only: for whoever opens a run to look at it. Knows no driver."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import NoReturn

from bus.bus import Subscription
from bus.errors import BusError
from bus.events import Event
from bus.records import Record
from observability.archive.archive import Archive
from observability.archive.log import ArchiveLog


class ArchiveBus:
    """Implements `Bus` for reading. Raises `BusError` where something is to be written."""

    def __init__(self, archive: Archive) -> None:
        self.log = ArchiveLog(archive)
        self._name = archive.place

    async def publish(self, events: Sequence[Event]) -> None:
        self._refuse()

    async def append(self, records: Sequence[Record]) -> None:
        self._refuse()

    def subscribe(
        self,
        topics: Sequence[str],
        group: str,
        member: str,
        *,
        exclusive: bool = False,
        above: int = 0,
    ) -> Subscription:
        self._refuse()

    async def follow(self, topic: str, start: int = 0) -> AsyncIterator[Record]:
        """What is there; nothing comes after it."""
        for stream in (stream for stream in self.log.heads() if stream[0] == topic):
            for record in self.log.read(*stream, start):
                yield record
        await asyncio.Event().wait()

    async def close(self) -> None:
        pass

    def _refuse(self) -> NoReturn:
        raise BusError(f"The archive {self._name} is read only.")
