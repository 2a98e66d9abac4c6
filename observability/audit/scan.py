"""Reads the log once, of most topics the headers only: every id once, offsets dense, every event
answers another. Knows no cursor and no checkpoint.
"""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from bus.errors import BusError, Unreadable
from bus.events import Control, Curriculum, DeadLetter
from bus.log import Log
from bus.records import Record
from bus.topics import DEAD_SUFFIX
from observability.audit import duties
from observability.audit.answers import WEIGHTS, Answers
from observability.audit.findings import Findings
from observability.audit.headers import Headers, agent_of, seconds_of
from observability.audit.order import Order
from observability.audit.places import Place
from observability.audit.reading import Stream, readable
from observability.audit.scanned import (
    ANSWERED,
    DEAD,
    NO_VERSION,
    OFFSET_BITS,
    Found,
    Letter,
    Part,
    Scanned,
    Start,
    identity_of,
    part_of,
)

Show = Callable[[str, int, int], None]
"""What is being looked at, how much of it is done, and of how much."""

_SHOWN = 1024


def scan(
    log: Log, ends: dict[Stream, int], run: str | None, findings: Findings, show: Show
) -> tuple[Scanned, Answers]:
    """Read every record below `ends` once. `run` is what it is called in its events, where that is
    known; `show` is told how many records are read, and of how many."""
    scanning = _Scan(log, ends, run, findings, show)
    return scanning.run(), scanning.answers


@dataclass(frozen=True, slots=True, kw_only=True)
class _Missed:
    """An event that `says` of another, by its id, that it is on `topic`, where no scan saw it."""

    part: Part
    offset: int
    event_id: str
    says: str
    named: str
    topic: str


class _Scan:
    def __init__(
        self, log: Log, ends: dict[Stream, int], run: str | None, findings: Findings, show: Show
    ) -> None:
        self._log = log
        self._findings = findings
        self._show = show
        self._streams = sorted(ends, key=lambda at: (duties.reading_order(at[0]), at))
        parts = {stream: part_of(stream, ends[stream]) for stream in self._streams}
        self._scanned = Scanned(parts=parts, streams=self._streams)
        self._missed: list[_Missed] = []
        partitions = Counter(topic for topic, _ in self._streams)
        self._headers = Headers(run, partitions, findings)
        self.answers = Answers(ends.get(WEIGHTS, 0), findings)

    def run(self) -> Scanned:
        whole, before = sum(part.end for part in self._scanned.parts.values()), 0
        for index, stream in enumerate(self._streams):
            part, number = self._scanned.parts[stream], 0
            order = Order(self._log, stream, part.end)
            for record in readable(self._log, stream, part.end, self._findings):
                number += 1
                self._take(index, part, record, order.of(record.offset))
                if number % _SHOWN == 1:
                    self._show("events", before + number, whole)
            before += part.end
            self._findings.count("events", number)
            if number or not stream[0].endswith(DEAD_SUFFIX):
                self._findings.count(f"events/{stream[0]}", number)
        for missed in self._missed:
            self._judge(missed)
        return self._scanned

    def _take(self, index: int, part: Part, record: Record, commit: int) -> None:
        topic, event_id = part.stream[0], record.event_id
        identity = identity_of(event_id)
        if identity is None:
            self._findings.count("unreadable")
            self._scanned.nameless.add((part.stream, record.offset))
            return
        self._headers.check(record, part.place(record.offset))
        if part.stream == WEIGHTS:
            self.answers.version(record.offset, _version(record))
        here = Place(index << OFFSET_BITS | record.offset, seconds_of(record), commit)
        first = self._scanned.places.add(identity, here)
        if first.at != here.at:
            where = self._scanned.parts[self._streams[first.at >> OFFSET_BITS]]
            self._findings.violate(
                "I2",
                f"event {event_id} is on the log twice, at "
                f"{where.place(first.at & (1 << OFFSET_BITS) - 1)} and "
                f"{part.place(record.offset)}",
                "duplicated",
            )
        if topic == "judgments":
            part.version[record.offset] = _version(record)
        if duties.answers(topic):
            self._answer(part, record, here)
        if topic == "curricula":
            self._curriculum(part, record)
        elif topic == "control":
            self._control(record)
        elif topic.endswith(DEAD_SUFFIX):
            self._dead_letter(part, record)

    def _answer(self, part: Part, record: Record, here: Place) -> None:
        topic, cause = part.stream[0], record.headers.get("ce_causationid")
        if cause is None:
            # A first version answers nothing; any other such record is for a dead letter.
            if topic != "weights":
                self._findings.count("unreadable")
            return
        wanted = duties.answers(topic)
        found = self._scanned.find(cause)
        if found is None or found.part.stream[0] != wanted:
            self._miss(part, record, "answers", cause, wanted)
            return
        place = part.place(record.offset)
        self._headers.check_dates(place, here.seconds, found.seconds)
        self._headers.check_commits(place, here.commit, found.commit)
        self._link(part, record.offset, record.event_id, found)
        if found.part.stream == WEIGHTS:
            self.answers.take(topic, place, agent_of(record), found.offset)
            if topic in ("curricula", "promotions"):
                with suppress(Unreadable):
                    self.answers.said(record.event(), place, found.offset)

    def _link(self, part: Part, offset: int, event_id: str, found: Found) -> None:
        topic, origin, at = part.stream[0], found.part, found.offset
        if duties.is_once(topic) and at < origin.end:
            if origin.marks[at] & ANSWERED:
                self._findings.violate(
                    "I2",
                    f"{topic[:-1]} {event_id} at {part.place(offset)} is the second that answers "
                    f"{origin.place(at)}",
                    "duplicated",
                )
            origin.marks[at] |= ANSWERED

    def _curriculum(self, part: Part, record: Record) -> None:
        """The settings that a source asked by are on the log, for whoever asks why."""
        try:
            event = record.event()
        except Unreadable:
            return
        objective = event.objective if isinstance(event, Curriculum) else None
        if objective is None:
            return
        found = self._scanned.find(objective)
        if found is None or found.part.stream[0] != "control":
            self._miss(part, record, "names the objective", objective, "control")

    def _miss(self, part: Part, record: Record, says: str, named: str, topic: str) -> None:
        missed = _Missed(
            part=part,
            offset=record.offset,
            event_id=record.event_id,
            says=says,
            named=named,
            topic=topic,
        )
        self._missed.append(missed)

    def _judge(self, missed: _Missed) -> None:
        """The scan may have missed what is named: damaged neighbours, heads of another moment."""
        part, offset = missed.part, missed.offset
        if part.marks[offset] & DEAD:
            return
        try:
            found = self._log.find(missed.named)
        except BusError:
            found = None
        if found is None or found.topic != missed.topic:
            self._findings.violate(
                "I3",
                f"event {missed.event_id} at {part.place(offset)} {missed.says} {missed.named}, "
                f"which is not on topic {missed.topic}",
            )
        elif missed.topic == duties.answers(part.stream[0]):
            origin = self._scanned.parts[found.topic, found.partition]
            self._link(part, offset, missed.event_id, Found(origin, found.offset))

    def _control(self, record: Record) -> None:
        try:
            event = record.event()
        except Unreadable:
            self._findings.count("unreadable")
            return
        if not isinstance(event, Control):
            return
        starts = self._scanned.starts
        if event.command == "start" and (not starts or starts[-1].settings != event.settings):
            starts.append(Start(offset=record.offset, settings=event.settings))
        elif event.command == "evaluate" and event.weights_version is not None:
            self._scanned.asked.append((record.offset, event.weights_version))

    def _dead_letter(self, part: Part, record: Record) -> None:
        place = part.place(record.offset)
        try:
            event = record.event()
        except Unreadable as error:
            self._findings.violate("I7", f"the dead letter at {place} cannot be read: {error}")
            return
        if not isinstance(event, DeadLetter) or event.channel != part.stream[0]:
            origin_topic = part.stream[0].removesuffix(DEAD_SUFFIX)
            self._findings.violate("I7", f"{place} is no dead letter of {origin_topic}")
            return
        self._findings.count("dead_letters")
        origin, offset = (event.origin_topic, event.origin_partition), event.origin_offset
        of = self._scanned.parts.get(origin)
        if of is None or not 0 <= offset < of.end:
            self._findings.violate(
                "I7",
                f"the dead letter {event.id} at {place} is about "
                f"{origin[0]}/{origin[1]}/{offset}, which is not on the log",
            )
            return
        if duties.completer(origin[0]) in ("", event.group):
            of.marks[offset] |= DEAD
        self._scanned.letters.append(
            Letter(place=place, group=event.group, origin=origin, offset=offset)
        )


def _version(record: Record) -> int:
    text = record.headers.get("ce_modelversion", "")
    return int(text) if text.isdecimal() and len(text) < 10 else NO_VERSION
