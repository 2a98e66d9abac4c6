"""An archive as the log that it was made of, at the moment that it holds. Knows no driver."""

from collections.abc import Iterator, Sequence

from bus.cursor import Cursor
from bus.errors import BusError
from bus.groups import Group, Holding, Stream
from bus.log import Cut
from bus.records import Lag, Record
from observability.archive.archive import Archive
from observability.archive.ids import Ids
from observability.archive.place import ArchiveError


class ArchiveLog:
    """Implements `Log`. Raises `ArchiveError` for damage, and for an archive whose first pass has
    not come to its end."""

    def __init__(self, archive: Archive) -> None:
        cut = archive.manifest.cut()
        if cut is None:
            raise ArchiveError(
                f"the archive {archive.place} is not finished: give the same `evolvent archive` "
                "again"
            )
        self.archive, self._cut = archive, cut
        self._ids = Ids(archive, dict(cut.heads))

    def read(
        self, topic: str, partition: int = 0, start: int = 0, end: int | None = None
    ) -> Iterator[Record]:
        head = self._head(topic, partition)
        end = head if end is None else min(end, head)
        yield from self.archive.records((topic, partition), start, end)

    def heads(self) -> dict[Stream, int]:
        return dict(self._cut.heads)

    def starts(self) -> dict[Stream, int]:
        """It has all from the beginning."""
        return {}

    def cut(self) -> Cut:
        return self._cut

    def commits(self, topic: str, partition: int, start: int, end: int) -> Sequence[int]:
        """Raises `BusError` where the log did not keep their order."""
        end = min(end, self._head(topic, partition))
        found = self.archive.commits((topic, partition), start, end)
        known = [one for one in found if one is not None]
        if len(known) < len(found):
            raise BusError(f"{self.archive.place} does not say in which order it was committed.")
        return known

    def find(self, event_id: str) -> Record | None:
        found = self._ids.find(event_id) if event_id else None
        if found is None:
            return None
        (topic, partition), offset = found
        return next(self.read(topic, partition, offset, offset + 1))

    def lag(self, group: str) -> list[Lag]:
        held = self._cut.groups.get(group, {})
        holdings = {stream: Holding(one.cursor, one.epoch) for stream, one in held.items()}
        return Group(holdings=holdings).lags(self._cut.heads)

    def cursors(self, group: str) -> dict[Stream, Cursor]:
        return {stream: one.cursor for stream, one in self._cut.groups.get(group, {}).items()}

    def groups(self) -> list[str]:
        return sorted(self._cut.groups)

    def members(self, group: str) -> list[str]:
        """Nobody works on an archive."""
        return []

    def _head(self, topic: str, partition: int) -> int:
        if (topic, partition) not in self._cut.heads:
            raise BusError(
                f"There is no partition {topic}/{partition} in the archive {self.archive.place}."
            )
        return self._cut.heads[topic, partition]
