"""Which record of an archive has an id: the ids of a partition, sorted, once somebody asks.
Partitions with few records are looked through first.
"""

import threading
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from bus.groups import Stream
from observability.archive.archive import Archive


class _Sorted(NamedTuple):
    ids: pa.StringArray
    offsets: pa.Array


class Ids:
    """Up to the end of each partition that `ends` says."""

    def __init__(self, archive: Archive, ends: dict[Stream, int]) -> None:
        self._archive, self._ends = archive, ends
        self._known: dict[Stream, _Sorted] = {}
        self._lock = threading.Lock()

    def find(self, event_id: str) -> tuple[Stream, int] | None:
        """The partition and the offset of an event."""
        for stream in sorted(self._ends, key=lambda one: (self._ends[one], one)):
            if self._ends[stream]:
                found = self._sorted(stream)
                at = _lowest(found.ids, event_id)
                if at < len(found.ids) and found.ids[at].as_py() == event_id:
                    return stream, int(found.offsets[at].as_py())
        return None

    def _sorted(self, stream: Stream) -> _Sorted:
        with self._lock:
            if stream not in self._known:
                column = self._archive.column(stream, "id").slice(0, self._ends[stream])
                ids = column.combine_chunks()
                # Of equal ones the first record comes first; those without an id come last.
                order = pc.sort_indices(ids)
                some = ids.take(order).drop_null()
                self._known[stream] = _Sorted(some, order.slice(0, len(some)))
            return self._known[stream]


def _lowest(ids: pa.StringArray, event_id: str) -> int:
    """The place of the first that is not below."""
    low, high = 0, len(ids)
    while low < high:
        middle = (low + high) // 2
        if ids[middle].as_py() < event_id:
            low = middle + 1
        else:
            high = middle
    return low
