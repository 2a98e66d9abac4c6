"""A log as it was at a position: its records, and how far every group had come. Knows no driver and
no role.

A group had done what it has done by now, but for what it answered later: so the log is read on from
the position. Of the last version before that it had done nothing that no answer shows.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from operator import itemgetter

from bus.cursor import Cursor
from bus.errors import BusError, Unreadable
from bus.events import Control, DeadLetter, Evaluation, Weights
from bus.groups import Group, Holding, Stream, stream_of
from bus.log import Cut, HasOrder, Held, Log
from bus.records import Lag, Record
from bus.topics import DEAD_SUFFIX, TOPICS
from bus.versions import Versions
from observability.audit.duties import reading_order
from observability.audit.headers import agent_of, version_of
from trainer.batch import GROUP as TRAINER

_LAST = 1 << 62
"""The commit of what is not committed yet."""
SLICE = 50_000
"""So many of the records that came later are read at a time, and the ids of as many kept."""
_LOOKED = 64
"""So many records of a partition are looked through for an answer to the last version."""


class PastLog:
    """Implements `Log` and `HasOrder`: `log` up to `ends`; `then` is what follows, records that it
    does not have yet."""

    def __init__(self, log: Log, ends: Mapping[Stream, int], then: Sequence[Record] = ()) -> None:
        self._log, self._ends = log, dict(ends)
        self._now = log.cut()
        self._then: dict[Stream, list[Record]] = {}
        for record in then:
            self._then.setdefault((record.topic, record.partition), []).append(record)

    def read(
        self, topic: str, partition: int = 0, start: int = 0, end: int | None = None
    ) -> Iterator[Record]:
        stream = (topic, partition)
        if stream not in self._ends:
            raise BusError(f"There is no partition {topic}/{partition} on this log.")
        last = self._ends[stream]
        if start < last:
            yield from self._log.read(
                topic, partition, start, last if end is None else min(end, last)
            )
        for record in self._then.get(stream, ()):
            if start <= record.offset and (end is None or record.offset < end):
                yield record

    def heads(self) -> dict[Stream, int]:
        return {at: end + len(self._then.get(at, ())) for at, end in self._ends.items()}

    def starts(self) -> dict[Stream, int]:
        return self._log.starts()

    def cut(self) -> Cut:
        return Cut(heads=self.heads(), groups=self._groups)

    def commits(self, topic: str, partition: int, start: int, end: int) -> Sequence[int]:
        """Raises `BusError` where the log did not keep their order."""
        if not isinstance(self._log, HasOrder):
            raise BusError("This log does not say in which order it was committed.")
        last = self._ends[topic, partition]
        found = list(self._log.commits(topic, partition, start, min(end, last)))
        return found + [_LAST] * max(0, min(end, self.heads()[topic, partition]) - max(start, last))

    def find(self, event_id: str) -> Record | None:
        for records in self._then.values():
            for record in records:
                if record.event_id == event_id:
                    return record
        found = self._log.find(event_id)
        if found is None or found.offset >= self._ends[found.topic, found.partition]:
            return None
        return found

    def lag(self, group: str) -> list[Lag]:
        held = self._groups.get(group, {})
        holdings = {stream: Holding(one.cursor, one.epoch) for stream, one in held.items()}
        return Group(holdings=holdings).lags(self.heads())

    def cursors(self, group: str) -> dict[Stream, Cursor]:
        return {stream: one.cursor for stream, one in self._groups.get(group, {}).items()}

    def groups(self) -> list[str]:
        return sorted(self._groups)

    def members(self, group: str) -> list[str]:
        """Nobody works on what was."""
        return []

    @cached_property
    def _groups(self) -> dict[str, dict[Stream, Held]]:
        """Reads all that came later, once."""
        later = _Later(self._log, self._ends, self._now)
        if newest := self._unanswered():
            for group in self._now.groups.keys() - newest[1]:
                later.note(group, _WEIGHTS, newest[0])
        return {
            group: {
                stream: Held(
                    _without(one.cursor, self._ends[stream], later.answered(group, stream)),
                    one.epoch,
                )
                for stream, one in held.items()
            }
            for group, held in self._now.groups.items()
        }

    def _unanswered(self) -> tuple[int, set[str]] | None:
        """The offset of the last version, and who has answered it."""
        end = self._ends[_WEIGHTS]
        if not end:
            return None
        newest = next(iter(self._log.read(*_WEIGHTS, end - 1, end)))
        answers = (
            record
            for stream, last in self._ends.items()
            if stream == _CONTROL
            or (stream[0] in TOPICS and TOPICS[stream[0]].answers == Weights.topic)
            for record in self._log.read(*stream, max(0, last - _LOOKED), last)
        )
        return end - 1, {agent_of(one) for one in answers if _is_of(one, newest)}


_WEIGHTS: Stream = (Weights.topic, 0)
_CONTROL: Stream = (Control.topic, 0)


class _Later:
    """What groups have answered after a position of what lies before it. An answer is said by the
    agent that has the name of its group; a version names by place what it consumed."""

    def __init__(self, log: Log, ends: Mapping[Stream, int], now: Cut) -> None:
        self._log, self._ends = log, ends
        self._answered: dict[tuple[str, Stream], Cursor] = {}
        self._ids, self._ids_before = set[str](), set[str]()
        self._asked = _asked(log, ends)
        self._versions = Versions(log)
        for record in self._slices(now.heads):
            self._take(record)

    def _slices(self, heads: Mapping[Stream, int]) -> Iterator[Record]:
        """What came later, a slice of every partition at a time: an answer soon follows its cause,
        so that the ids of two slices tell of nearly all causes that they came later, too."""
        log, ends = self._log, self._ends
        number = 1 + sum(end - ends[at] for at, end in heads.items()) // SLICE
        streams = sorted(heads, key=lambda at: (reading_order(at[0]), at))
        for part in range(number):
            self._ids_before, self._ids = self._ids, set()
            for stream in streams:
                first, more = ends[stream], heads[stream] - ends[stream]
                low, high = first + more * part // number, first + more * (part + 1) // number
                yield from log.read(*stream, low, high)

    def note(self, group: str, stream: Stream, start: int, end: int | None = None) -> None:
        """Offsets [start, end), or one, as far as they are before the position."""
        before = range(start, min(start + 1 if end is None else end, self._ends.get(stream, 0)))
        if before:
            known = self.answered(group, stream)
            self._answered[group, stream] = known.advance(before)

    def answered(self, group: str, stream: Stream) -> Cursor:
        return self._answered.get((group, stream), Cursor())

    def _is_later(self, event_id: str) -> bool:
        return event_id in self._ids or event_id in self._ids_before

    def _take(self, record: Record) -> None:
        self._ids.add(record.event_id)
        cause = _cause_of(record)
        if record.topic == Weights.topic or record.topic.endswith(DEAD_SUFFIX):
            self._take_places(record)
        elif record.topic == Control.topic and (number := version_of(record)) >= 0:
            # What a guard says of a version names that by its number.
            of = self._versions.numbered(number)
            if of is not None and (found := self._log.find(of.id)) is not None:
                self.note(agent_of(record), _WEIGHTS, found.offset)
        elif cause and not self._is_later(cause) and (found := self._log.find(cause)):
            self.note(agent_of(record), (found.topic, found.partition), found.offset)
            for offset in self._asked.get(cause, ()) if record.topic == Evaluation.topic else ():
                self.note(agent_of(record), _CONTROL, offset)

    def _take_places(self, record: Record) -> None:
        try:
            event = record.event()
        except Unreadable:
            return
        if isinstance(event, Weights):
            for name, ranges in event.positions.items():
                for start, end in ranges:
                    self.note(TRAINER, stream_of(name), start, end)
        elif isinstance(event, DeadLetter):
            self.note(
                event.group, (event.origin_topic, event.origin_partition), event.origin_offset
            )


def _asked(log: Log, ends: Mapping[Stream, int]) -> dict[str, list[int]]:
    """Of versions that somebody had measured before a position, by their ids: which records of
    `control` asked for it."""
    found: dict[str, list[int]] = {}
    versions = Versions(log)
    for record in log.read(*_CONTROL, 0, ends[_CONTROL]):
        try:
            event = record.event()
        except Unreadable:
            continue
        if not isinstance(event, Control) or event.command != "evaluate":
            continue
        if event.weights_version is not None and (of := versions.numbered(event.weights_version)):
            found.setdefault(of.id, []).append(record.offset)
    return found


def _is_of(record: Record, version: Record) -> bool:
    """Whether it is said of a version, which a guard names by its number."""
    if record.topic == Control.topic:
        return version_of(record) == version_of(version)
    return _cause_of(record) == version.event_id


def _cause_of(record: Record) -> str:
    return record.headers.get("ce_causationid", "")


def _without(cursor: Cursor, end: int, opened: Cursor) -> Cursor:
    """What is done in a cursor below `end`, but for what is `opened`."""
    runs = []
    for first, last in ((0, cursor.base), *cursor.runs):
        at, stop = opened.first_open(first), min(last, end)
        while at < stop:
            hole = bisect_right(opened.runs, at, key=itemgetter(0))
            till = min([stop, *(start for start, _ in opened.runs[hole : hole + 1])])
            runs.append((at, till))
            at = opened.first_open(till)
    base = runs.pop(0)[1] if runs and runs[0][0] == 0 else 0
    return Cursor(base, tuple(runs))
