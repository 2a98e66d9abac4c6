"""A log whose beginning was trimmed, with the archive that has it: whoever reads notices nothing.
Knows no driver.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from bus.cursor import Cursor
from bus.errors import BusError, Trimmed
from bus.groups import Stream, name_of
from bus.log import Cut, HasOrder, HasStrays, Log, Stray
from bus.records import Lag, Record
from observability.archive.place import ArchiveError

if TYPE_CHECKING:
    from observability.archive.log import ArchiveLog


class TogetherLog:
    """Implements `Log`, and what else the log can do. `opened` opens the archive, when something is
    asked for that the log has no more, and again once it has less than it had. Raises
    `ArchiveError` where the archive cannot be read."""

    def __init__(self, log: Log, opened: Callable[[], "ArchiveLog"]) -> None:
        self._log, self._opened = log, opened
        self._archive: ArchiveLog | None = None
        self._lock = threading.Lock()

    def read(
        self, topic: str, partition: int = 0, start: int = 0, end: int | None = None
    ) -> Iterator[Record]:
        stream, at = (topic, partition), start
        while end is None or at < end:
            try:
                for record in self._log.read(topic, partition, at, end):
                    at = record.offset + 1
                    yield record
                return
            except Trimmed as gone:
                upto = gone.first if end is None else min(gone.first, end)
            for record in self._with(stream, upto).read(topic, partition, at, upto):
                at = record.offset + 1
                yield record

    def heads(self) -> dict[Stream, int]:
        return self._log.heads()

    def starts(self) -> dict[Stream, int]:
        """It reads from the beginning."""
        return {}

    def cut(self) -> Cut:
        return self._log.cut()

    def find(self, event_id: str) -> Record | None:
        found = self._log.find(event_id)
        if found is not None or not event_id:
            return found
        for stream, first in self._log.starts().items():
            self._with(stream, first)
        return None if self._archive is None else self._archive.find(event_id)

    def commits(self, topic: str, partition: int, start: int, end: int) -> Sequence[int]:
        """Raises `BusError` where the log did not keep their order."""
        if not isinstance(self._log, HasOrder):
            raise BusError("This log does not say in which order it was committed.")
        stream = (topic, partition)
        first = min(max(start, self._log.starts().get(stream, 0)), end)
        found: list[int] = []
        if start < first:
            found += self._with(stream, first).commits(topic, partition, start, first)
        return [*found, *self._log.commits(topic, partition, first, end)]

    def strays(self) -> list[Stray]:
        return self._log.strays() if isinstance(self._log, HasStrays) else []

    def lag(self, group: str) -> list[Lag]:
        return self._log.lag(group)

    def cursors(self, group: str) -> dict[Stream, Cursor]:
        return self._log.cursors(group)

    def groups(self) -> list[str]:
        return self._log.groups()

    def members(self, group: str) -> list[str]:
        return self._log.members(group)

    def _with(self, stream: Stream, end: int) -> "ArchiveLog":
        """The archive, which has a partition up to there."""
        with self._lock:
            if self._archive is None or self._archive.heads().get(stream, 0) < end:
                self._archive = self._opened()
            if self._archive.heads().get(stream, 0) < end:
                raise ArchiveError(
                    f"the log has lost {name_of(stream)} up to {end}, and the archive ends at "
                    f"{self._archive.heads().get(stream, 0)}: restore it from a copy"
                )
            return self._archive
