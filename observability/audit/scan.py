"""Reads the log once, headers only: every id once, offsets dense, every event answers another.
Knows no cursor and no checkpoint.

What is kept of a record is its id with its place, and a few bytes that later checks fill in.
"""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field

from bus.errors import BusError, Unreadable
from bus.events import Control, DeadLetter
from bus.log import Log
from bus.records import Record
from observability.audit.findings import Findings

Stream = tuple[str, int]
"""A (topic, partition)."""

ANSWERS = {
    "weights": "weights",
    "tasks": "weights",
    "refusals": "weights",
    "attempts": "tasks",
    "judgments": "attempts",
    "curricula": "weights",
    "evaluations": "weights",
    "promotions": "weights",
}
"""The topic of the events that those of a topic answer; in the order in which they are read."""

ONCE = ("attempts", "judgments")
"""Topics of which one event at most answers the same event."""

LEARNED_FROM = ("judgments", "refusals", "tasks.dead", "attempts.dead", "judgments.dead")
WORKERS = {"tasks": "solver", "attempts": "critic", **dict.fromkeys(LEARNED_FROM, "trainer")}
"""The group that must bring every record of a topic to an end."""

ANSWERED, DEAD = 1, 2
NO_VERSION = -1

_WINDOW = 256
_OFFSET_BITS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A dead letter: where it lies, whose it is, and the record it is about."""

    place: str
    group: str
    origin: Stream
    offset: int


@dataclass(slots=True, kw_only=True)
class Part:
    """One partition, by offset: `marks`; `version`, the oldest that drew a token of a judgment;
    `consumed_by`, number + 1 of the version that trained on a record, negative if it dropped it.
    """

    stream: Stream
    end: int
    marks: bytearray
    version: "array[int]"
    consumed_by: "array[int]"

    def place(self, offset: int) -> str:
        return f"{self.stream[0]}/{self.stream[1]}/{offset}"


@dataclass(slots=True, kw_only=True)
class Scanned:
    """What the audit knows of the log up to `ends`."""

    parts: dict[Stream, Part]
    letters: list[Letter] = field(default_factory=list)
    max_staleness: int | None = None
    places: dict[bytes, int] = field(default_factory=dict)
    nameless: set[tuple[Stream, int]] = field(default_factory=set)
    streams: list[Stream] = field(default_factory=list)

    def find(self, event_id: str) -> tuple[Part, int] | None:
        """Where an event lies: its partition and offset."""
        identity = _identity(event_id)
        at = None if identity is None else self.places.get(identity)
        if at is None:
            return None
        return self.parts[self.streams[at >> _OFFSET_BITS]], at & (1 << _OFFSET_BITS) - 1


def scan(log: Log, ends: dict[Stream, int], findings: Findings) -> Scanned:
    """Read every record below `ends` once."""
    return _Scan(log, ends, findings).run()


def readable(log: Log, stream: Stream, end: int, findings: Findings) -> Iterator[Record]:
    """The records of a partition below `end`; those that are missing or damaged are violations."""
    expected = 0
    while expected < end:
        try:
            for record in log.read(*stream, expected, end):
                if record.offset != expected:
                    break
                expected += 1
                yield record
        except BusError:
            pass  # A page fails as a whole: look for the culprit one by one.
        if expected < end:
            yield from _one_by_one(log, stream, expected, min(expected + _WINDOW, end), findings)
            expected = min(expected + _WINDOW, end)


def _one_by_one(
    log: Log, stream: Stream, start: int, end: int, findings: Findings
) -> Iterator[Record]:
    bad, why = start, ""
    for offset in range(start, end):
        try:
            found = list(log.read(*stream, offset, offset + 1))
        except BusError as error:
            found, why = [], why or str(error)
        if found and found[0].offset == offset:
            _report(findings, stream, bad, offset, why)
            bad, why = offset + 1, ""
            yield found[0]
    _report(findings, stream, bad, end, why)


def _report(findings: Findings, stream: Stream, start: int, end: int, why: str) -> None:
    if start == end:
        return
    which = f"record {stream[0]}/{stream[1]}/{start}" + (f" to {end - 1}" * (end > start + 1))
    findings.violate("I5", f"{which} cannot be read: {why or 'it is missing'}")
    findings.count("lost", end - start)


class _Scan:
    def __init__(self, log: Log, ends: dict[Stream, int], findings: Findings) -> None:
        self._log = log
        self._findings = findings
        order = list(ANSWERS)
        self._streams = sorted(
            ends,
            key=lambda at: (
                at[0].endswith(".dead"),
                order.index(at[0]) if at[0] in order else len(order),
                at,
            ),
        )
        parts = {stream: _part(stream, ends[stream]) for stream in self._streams}
        self._scanned = Scanned(parts=parts, streams=self._streams)
        self._unanswered: list[tuple[Part, int, str, str]] = []

    def run(self) -> Scanned:
        for index, stream in enumerate(self._streams):
            part, number = self._scanned.parts[stream], 0
            for record in readable(self._log, stream, part.end, self._findings):
                number += 1
                self._take(index, part, record)
            self._findings.count("events", number)
            if number or not stream[0].endswith(".dead"):
                self._findings.count(f"events/{stream[0]}", number)
        for part, offset, event_id, cause in self._unanswered:
            self._judge_unanswered(part, offset, event_id, cause)
        return self._scanned

    def _take(self, index: int, part: Part, record: Record) -> None:
        topic, event_id = part.stream[0], record.event_id
        identity = _identity(event_id)
        if identity is None:
            self._findings.count("unreadable")
            self._scanned.nameless.add((part.stream, record.offset))
            return
        at = index << _OFFSET_BITS | record.offset
        first = self._scanned.places.setdefault(identity, at)
        if first != at:
            where = self._scanned.parts[self._streams[first >> _OFFSET_BITS]]
            self._findings.violate(
                "I2",
                f"event {event_id} is on the log twice, at "
                f"{where.place(first & (1 << _OFFSET_BITS) - 1)} and {part.place(record.offset)}",
                "duplicated",
            )
        if topic == "judgments":
            part.version[record.offset] = _version(record)
        if topic in ANSWERS:
            self._answer(part, record)
        elif topic == "control":
            self._control(record)
        elif topic.endswith(".dead"):
            self._dead_letter(part, record)

    def _answer(self, part: Part, record: Record) -> None:
        topic, cause = part.stream[0], record.headers.get("ce_causationid")
        if cause is None:
            # A first version answers nothing; any other such record is for a dead letter.
            if topic != "weights":
                self._findings.count("unreadable")
            return
        found = self._scanned.find(cause)
        if found is None or found[0].stream[0] != ANSWERS[topic]:
            self._unanswered.append((part, record.offset, record.event_id, cause))
        else:
            self._link(part, record.offset, record.event_id, found)

    def _link(self, part: Part, offset: int, event_id: str, found: tuple[Part, int]) -> None:
        topic, (origin, at) = part.stream[0], found
        if topic in ONCE and at < origin.end:
            if origin.marks[at] & ANSWERED:
                self._findings.violate(
                    "I2",
                    f"{topic[:-1]} {event_id} at {part.place(offset)} is the second that answers "
                    f"{origin.place(at)}",
                    "duplicated",
                )
            origin.marks[at] |= ANSWERED

    def _judge_unanswered(self, part: Part, offset: int, event_id: str, cause: str) -> None:
        """The scan may have missed what it answers: damaged neighbours, heads of another moment."""
        wanted = ANSWERS[part.stream[0]]
        if part.marks[offset] & DEAD:
            return
        try:
            found = self._log.find(cause)
        except BusError:
            found = None
        if found is not None and found.topic == wanted:
            origin = self._scanned.parts[found.topic, found.partition]
            self._link(part, offset, event_id, (origin, found.offset))
        else:
            self._findings.violate(
                "I3",
                f"event {event_id} at {part.place(offset)} answers {cause}, "
                f"which is not on topic {wanted}",
            )

    def _control(self, record: Record) -> None:
        try:
            event = record.event()
        except Unreadable:
            self._findings.count("unreadable")
            return
        trainer = event.settings.get("trainer") if isinstance(event, Control) else None
        allowed = trainer.get("max_staleness") if isinstance(trainer, dict) else None
        if isinstance(allowed, int):
            self._scanned.max_staleness = max(allowed, self._scanned.max_staleness or 0)

    def _dead_letter(self, part: Part, record: Record) -> None:
        place = part.place(record.offset)
        try:
            event = record.event()
        except Unreadable as error:
            self._findings.violate("I7", f"the dead letter at {place} cannot be read: {error}")
            return
        if not isinstance(event, DeadLetter) or event.channel != part.stream[0]:
            self._findings.violate("I7", f"{place} is no dead letter of {part.stream[0][:-5]}")
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
        if event.group == WORKERS.get(origin[0], event.group):
            of.marks[offset] |= DEAD
        self._scanned.letters.append(
            Letter(place=place, group=event.group, origin=origin, offset=offset)
        )


def _part(stream: Stream, end: int) -> Part:
    return Part(
        stream=stream,
        end=end,
        marks=bytearray(end),
        version=array("i", [NO_VERSION]) * (end if stream[0] == "judgments" else 0),
        consumed_by=array("i", [0]) * end,
    )


def _identity(event_id: str) -> bytes | None:
    """32 hex digits as 16 bytes, None for anything else."""
    try:
        identity = bytes.fromhex(event_id)
    except ValueError:
        return None
    return identity if len(identity) == 16 and identity.hex() == event_id else None


def _version(record: Record) -> int:
    text = record.headers.get("ce_modelversion", "")
    return int(text) if text.isdecimal() and len(text) < 10 else NO_VERSION
