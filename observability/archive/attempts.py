"""The attempt within a judgment: which record of the log it is, and where in the body it stands, so
that it is stored once. Knows no file.
"""

from collections import OrderedDict
from collections.abc import Iterator

from bus.errors import BusError
from bus.groups import Stream
from bus.log import Log
from bus.records import Record
from observability.archive.columns import Part

EMBEDS = {"judgments": "attempts"}
"""Topics whose bodies hold a whole body of another, in the partition of the same number."""

_BEHIND, _AHEAD = 256, 256
"""Attempts are judged about in their order: so many on either side are kept at hand."""


class Attempts:
    """Those of one partition, looked up in the order of the judgments from offset `start` on."""

    def __init__(self, log: Log, stream: Stream, end: int, start: int) -> None:
        self._log, self._stream, self._end = log, stream, end
        self._next = max(0, min(start, end) - _BEHIND)
        self._records: Iterator[Record] | None = None
        self._known: OrderedDict[str, tuple[int, bytes]] = OrderedDict()

    def part_of(self, record: Record) -> Part | None:
        """Which part of a judgment's body its attempt is; None where it has none of this log."""
        found = self._find(record.headers.get("ce_causationid", ""))
        if found is None:
            return None
        offset, body = found
        at = record.value.find(body) if body else -1
        return None if at < 0 else Part(offset, at, len(body))

    def _find(self, event_id: str) -> tuple[int, bytes] | None:
        if not event_id:
            return None
        ahead = 0
        while event_id not in self._known and ahead < _AHEAD and self._take():
            ahead += 1
        if event_id in self._known:
            return self._known.pop(event_id)
        try:
            record = self._log.find(event_id)
        except BusError:
            return None
        if record is None or (record.topic, record.partition) != self._stream:
            return None
        return (record.offset, record.value) if record.offset < self._end else None

    def _take(self) -> bool:
        """Read one more; False at the end."""
        if self._records is None:
            self._records = self._log.read(*self._stream, self._next, self._end)
        record = next(self._records, None)
        if record is None:
            return False
        self._known[record.event_id] = record.offset, record.value
        if len(self._known) > _BEHIND + _AHEAD:
            self._known.popitem(last=False)
        return True
