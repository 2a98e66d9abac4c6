"""The log as the journal tells it: how many records there are and how far groups have come. The
order of the journal is the order of each partition: offsets are dense, and a record that no valid
entry names is not there. What it holds grows with what is open, not with what was. Knows no broker.

An entry counts once: its writer numbers it; outputs of what was done before are void; and the last
`RECENT` events of each kind are told from new ones by their ids.
"""

import threading
from array import array
from bisect import bisect_right
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Literal, NamedTuple

from bus.cursor import Cursor
from bus.groups import Group, Member, Stream
from bus.kafka.journal.entry import Entry, Places
from bus.topics import Topic

RECENT = 4_096
"""So many ids are kept of what answers a record, and so many of what answers none."""

INDEX_RECORDS, INDEX_ENTRIES = 512, 8_192
"""Where a record is named is known to within so many records of its partition, or entries."""

MAX_WRITERS = 1_024
MAX_STRANGERS = 100

Verdict = Literal["holds", "done", "void"]
"""An entry whose claims were done before says nothing new; one of a former owner is void."""


class Place(NamedTuple):
    """A record of the log: where it lies in Kafka, and what the journal says of it. `entry_id` is
    "" for one of another program."""

    offset: int
    raw: int
    event_id: str
    entry_id: str


Feed = Callable[[Sequence[Place]], None]


class Recent:
    """The newest ids, told from older ones in the order in which they came."""

    def __init__(self, ids: Sequence[str] = ()) -> None:
        self.order = deque(ids)
        self._set = set(ids)

    def __contains__(self, event_id: str) -> bool:
        return event_id in self._set

    def add(self, event_id: str) -> None:
        if len(self.order) == RECENT:
            self._set.discard(self.order.popleft())
        self.order.append(event_id)
        self._set.add(event_id)


class Index:
    """Of one partition: which offset is the first that an entry at some position adds."""

    def __init__(self, offsets: Sequence[int] = (), positions: Sequence[int] = ()) -> None:
        self.offsets, self.positions = array("q", offsets), array("q", positions)

    def note(self, offset: int, position: int) -> None:
        if (
            not self.offsets
            or offset - self.offsets[-1] >= INDEX_RECORDS
            or position - self.positions[-1] >= INDEX_ENTRIES
        ):
            self.offsets.append(offset)
            self.positions.append(position)

    def before(self, offset: int) -> tuple[int, int]:
        """The last offset that is known, up to this one, and the position of its entry."""
        at = bisect_right(self.offsets, offset) - 1
        return (self.offsets[at], self.positions[at]) if at >= 0 else (0, 0)


class State:
    """Changed in one thread; `lock` guards it against those who look from others."""

    def __init__(self, topics: Mapping[str, Topic]) -> None:
        streams = [
            (topic.name, part) for topic in topics.values() for part in range(topic.partitions)
        ]
        self.lock = threading.RLock()
        self.position = 0
        """Of the journal, behind what was applied."""
        self.chain = b""
        """A hash over every record of the journal up to there."""
        self.num_entries, self.num_bytes = 0, 0
        self.heads = dict.fromkeys(streams, 0)
        self.ends = dict.fromkeys(streams, 0)
        """Of each partition, behind the last of Kafka's offsets that is named."""
        self.starts: dict[Stream, int] = {}
        """Of each partition that was trimmed, its first record."""
        self.floors: dict[Stream, int] = {}
        """And the lowest of Kafka's offsets that may still get a place: what lies below is deleted,
        whoever has written it and is late to name it."""
        self.index = {stream: Index() for stream in streams}
        self.groups: dict[str, Group] = {}
        self.topic_ids: dict[str, str] = {}
        self.foreign: dict[Stream, Cursor] = {}
        """Kafka's offsets of what other programs wrote and has its place."""
        self.passed: dict[int, frozenset[tuple[Stream, int]] | None] = {}
        """What entries name in vain, by position; None for all of it."""
        self.num_strangers, self.strangers = 0, list[int]()
        """Records of the journal that are no entries, and where the first of them lie."""
        self.roots, self.answers = Recent(), Recent()
        self.written: OrderedDict[str, int] = OrderedDict()
        """The number of the last entry of each writer."""
        self.feeds: dict[Stream, list[Feed]] = {}
        """Called with the places of what is appended."""

    def apply(self, position: int, value: bytes) -> tuple[Entry, Verdict] | None:
        """The record of the journal at `position`; None when it is no entry."""
        self.position = position + 1
        self.num_bytes += len(value)
        self.chain = blake2b(b"%b%d %b" % (self.chain, position, value), digest_size=16).digest()
        try:
            entry = Entry.decode(value)
        except ValueError:
            self.num_strangers += 1
            if len(self.strangers) < MAX_STRANGERS:
                self.strangers.append(position)
            return None
        self.num_entries += 1
        verdict = self._judge(entry)
        if verdict == "holds":
            self._add(position, entry)
        elif entry.added or entry.foreign:
            self.passed[position] = None
        return entry, verdict

    def effects(self, position: int, entry: Entry) -> list[tuple[Stream, Places, str]]:
        """The records that an entry, applied before, gave their place; and its id, "" for those of
        other programs."""
        passed = self.passed.get(position, frozenset())
        if passed is None:
            return []
        named = [(stream, places, entry.id) for stream, places in entry.added.items()]
        named += [(stream, places, "") for stream, places in entry.foreign.items()]
        if not passed:
            return named
        return [
            (stream, _without(places, {raw for at, raw in passed if at == stream}), entry_id)
            for stream, places, entry_id in named
        ]

    def has(self, event_id: str) -> bool:
        """Whether an event is among the newest."""
        return event_id in self.answers or event_id in self.roots

    def is_foreign(self, stream: Stream, raw: int) -> bool:
        """Whether a record of another program has its place already."""
        known = self.foreign.get(stream)
        return known is not None and known.is_done(raw)

    def group(self, name: str) -> Group:
        return self.groups.get(name) or Group()

    def _judge(self, entry: Entry) -> Verdict:
        """What an entry changes in its group, and whether the rest of it counts."""
        if entry.seq:
            if entry.seq <= self.written.get(entry.writer, 0):
                return "void"
            self.written[entry.writer] = entry.seq
            self.written.move_to_end(entry.writer)
            if len(self.written) > MAX_WRITERS:
                self.written.popitem(last=False)
        if entry.kind == "topics":
            self.topic_ids = dict(entry.ids) | self.topic_ids
        if any(self._has_gone(*at, raw) for at, some in entry.added.items() for raw in some.raws):
            return "void"
        self._trim(entry)
        if not entry.group:
            return "holds"
        group = self.groups.setdefault(entry.group, Group())
        if entry.kind == "join":
            member = Member(
                name=entry.member,
                instance=entry.instance,
                topics=frozenset(entry.topics),
                exclusive=entry.exclusive,
            )
            group.join(member, self.heads, entry.above)
            return "holds"
        if not group.is_current(entry.member, entry.instance):
            return "void"
        if entry.kind in ("leave", "expire"):
            group.leave(entry.member)
            return "holds"
        claimed = {stream: claim.epoch for stream, claim in entry.done.items()}
        if not (group.owns(entry.member, claimed) and group.owns(entry.member, entry.released)):
            return "void"
        known = group.are_done(entry.done)
        group.complete(entry.done)
        if entry.released:
            group.release(entry.released)
        return "done" if known else "holds"

    def _trim(self, entry: Entry) -> None:
        """A group may have come since its writer looked: what it has still to do stays."""
        for stream, end in entry.below.items():
            held = [group.holdings.get(stream) for group in self.groups.values()]
            first = min([end, *(one.cursor.base for one in held if one is not None)])
            if self.starts.get(stream, 0) < first < self.heads.get(stream, 0):
                self.starts[stream] = first
        for stream, raw in entry.floors.items():
            self.floors[stream] = max(raw, self.floors.get(stream, 0))

    def _has_gone(self, topic: str, partition: int, raw: int) -> bool:
        return raw < self.floors.get((topic, partition), 0)

    def _add(self, position: int, entry: Entry) -> None:
        passed: list[tuple[Stream, int]] = []
        recent = self.answers if entry.done else self.roots
        for stream, places in entry.added.items():
            passed += self._append(position, stream, places, recent, entry.id)
        for stream, places in entry.foreign.items():
            fresh = _without(
                places,
                {
                    raw
                    for raw in places.raws
                    if self.is_foreign(stream, raw) or self._has_gone(*stream, raw)
                },
            )
            passed += [(stream, raw) for raw in set(places.raws) - set(fresh.raws)]
            passed += self._append(position, stream, fresh, self.roots, "")
            known = self.foreign.get(stream, Cursor(-1))
            self.foreign[stream] = known.advance(fresh.raws)
        if passed:
            self.passed[position] = frozenset(passed)

    def _append(
        self, position: int, stream: Stream, places: Places, recent: Recent, entry_id: str
    ) -> list[tuple[Stream, int]]:
        """What is on the log already, and not appended."""
        passed, fresh = [], []
        first = head = self.heads[stream]
        for raw, event_id in zip(places.raws, places.ids, strict=True):
            # Without an id it is nobody's double; with one, the first on the journal counts.
            if event_id:
                if self.has(event_id):
                    passed.append((stream, raw))
                    continue
                recent.add(event_id)
            fresh.append(Place(head, raw, event_id, entry_id))
            head += 1
        if fresh:
            self.heads[stream] = head
            self.ends[stream] = max(self.ends[stream], fresh[-1].raw + 1)
            self.index[stream].note(first, position)
            for feed in self.feeds.get(stream, ()):
                feed(fresh)
        return passed


def _without(places: Places, raws: set[int]) -> Places:
    if not raws:
        return places
    kept = [pair for pair in zip(*places, strict=True) if pair[0] not in raws]
    return Places([raw for raw, _ in kept], [event_id for _, event_id in kept])
