"""The log as the journal tells it: which records there are, in which order, and how far groups
have come. The order of the journal is the order of each partition: offsets are dense, and a
record that no valid commit names is not there. Knows no broker.
"""

import threading
from array import array
from collections.abc import Mapping

from bus.kafka.entry import Entry, Places
from bus.kafka.groups import Group
from bus.shares import Stream
from bus.topics import Topic


class State:
    """Changed in one thread; `lock` guards it against those who look from others."""

    def __init__(self, topics: Mapping[str, Topic]) -> None:
        self.lock = threading.RLock()
        self.raws: dict[Stream, array[int]] = {
            (topic.name, part): array("q")
            for topic in topics.values()
            for part in range(topic.partitions)
        }
        self.groups: dict[str, Group] = {}
        self.written: dict[tuple[str, str], tuple[Stream, ...]] = {}
        """Where the last commit of a member went that has not left."""
        self._streams = list(self.raws)
        self._number = {stream: number for number, stream in enumerate(self._streams)}
        self._ids: dict[str, int] = {}
        self._foreign: set[tuple[Stream, int]] = set()

    def apply(self, entry: Entry) -> bool:
        """Whether the entry holds; a void one, from an owner that is none any more, does not."""
        if entry.group:
            group = self.groups.setdefault(entry.group, Group())
            if not group.apply(entry, self._streams):
                return False
        if entry.kind == "leave":
            self.written.pop((entry.group, entry.member), None)
        elif entry.kind == "commit" and entry.member:
            self.written[entry.group, entry.member] = tuple(entry.added)
        for stream, places in entry.added.items():
            self._append(stream, places)
        for stream, places in entry.foreign.items():
            pairs = zip(places.raws, places.ids, strict=True)
            fresh = [(raw, one) for raw, one in pairs if (stream, raw) not in self._foreign]
            self._foreign.update((stream, raw) for raw, _ in fresh)
            self._append(stream, Places([raw for raw, _ in fresh], [one for _, one in fresh]))
        return True

    def has(self, event_id: str) -> bool:
        return event_id in self._ids

    def find(self, event_id: str) -> tuple[Stream, int] | None:
        """The partition and the offset of an event."""
        at = self._ids.get(event_id)
        if at is None:
            return None
        return self._streams[at >> _OFFSET_BITS], at & (1 << _OFFSET_BITS) - 1

    def is_foreign(self, stream: Stream, raw: int) -> bool:
        """Whether a record of another program has its place already."""
        return (stream, raw) in self._foreign

    def group(self, name: str) -> Group:
        return self.groups.get(name) or Group()

    def heads(self) -> dict[Stream, int]:
        return {stream: len(raws) for stream, raws in self.raws.items()}

    def _append(self, stream: Stream, places: Places) -> None:
        raws, ids = self.raws[stream], self._ids
        at = self._number[stream] << _OFFSET_BITS | len(raws)
        for raw, event_id in zip(places.raws, places.ids, strict=True):
            # Without an id it is nobody's double; with one, the first on the journal counts.
            if not event_id or ids.setdefault(event_id, at) == at:
                raws.append(raw)
                at += 1


_OFFSET_BITS = 40
