"""Joins every event with the one it names, after the scan: every id once, every event answers
another. Knows no cursor and no checkpoint.
"""

from collections import Counter

from bus.errors import BusError, Unreadable
from bus.events import Curriculum
from bus.log import Log
from bus.records import Record
from observability.audit import duties
from observability.audit.answers import WEIGHTS
from observability.audit.facts import links, pages
from observability.audit.facts.links import Link, Links
from observability.audit.findings import Findings
from observability.audit.headers import Headers, agent_of, seconds_of
from observability.audit.scanned import Part, Scanned, offset_of

_AT_ONCE = 4096


class Joining:
    def __init__(self, log: Log, scanned: Scanned, headers: Headers, findings: Findings) -> None:
        self._log = log
        self._scanned = scanned
        self._headers = headers
        self._findings = findings
        self._missed: set[tuple[int, int]] = set()
        self._granted: Counter[tuple[str, int]] = Counter()

    def join(self, found: Links) -> None:
        """After the scan of every stream."""
        for link in found.joined():
            self._join(link)
        self._write_granted()
        for index, low in sorted(self._missed):
            page = self._scanned.pages.page(index, low)
            dead = page.dead()
            for fact in page.missed:
                if fact.offset not in dead:
                    self._judge(self._scanned.parts[self._scanned.streams[index]], fact)

    def miss(self, at: int, kind: int) -> None:
        """The event at `at` names one that no scan saw, by this `kind` of link."""
        part, offset = self._scanned.part_at(at), offset_of(at)
        self._missed.add((part.index, offset - offset % pages.OFFSETS_AT_ONCE))
        self._scanned.pages.add(part.index, pages.MISSED, offset, kind)

    def check_new(self, part: Part, offset: int, event_id: str) -> None:
        """That an event has no other place, from before what is read."""
        try:
            found = self._log.find(event_id)
        except BusError:
            return
        first = None if found is None else self._scanned.parts.get((found.topic, found.partition))
        if found is not None and first is not None and found.offset < first.start:
            self._findings.violate(
                "I2",
                f"event {event_id} is on the log twice, at {first.place(found.offset)} and "
                f"{part.place(offset)}",
                "duplicated",
            )

    def _join(self, link: Link) -> None:
        at, first = link.place.at, link.first
        topic = self._scanned.part_at(at).stream[0]
        to = "" if first is None else self._scanned.part_at(first.at).stream[0]
        if link.kind == links.EVENT:
            if first is not None:
                self._findings.violate(
                    "I2",
                    f"event {link.identity.hex()} is on the log twice, at "
                    f"{self._scanned.place(first.at)} and {self._scanned.place(at)}",
                    "duplicated",
                )
        elif link.kind == links.SAID:
            if first is not None and to == WEIGHTS[0]:
                self._said(topic, link, offset_of(first.at))
            elif first is None and (version := self._version(link.identity)) is not None:
                self._said(topic, link, version)
        elif first is None or to != _wanted(topic, link.kind):
            self.miss(at, link.kind)
        elif link.kind == links.CAUSE:
            place = self._scanned.place(at)
            self._headers.check_dates(place, link.place.seconds, first.seconds)
            self._headers.check_commits(place, link.place.commit, first.commit)
            self._answers(topic, at, first.at, link.more)

    def _answers(self, topic: str, at: int, first: int, agent: int) -> None:
        """The event at `at` answers the one at `first`."""
        origin, offset = self._scanned.part_at(first), offset_of(first)
        if offset >= origin.end:
            return
        add = self._scanned.pages.add
        if duties.is_once(topic):
            add(origin.index, pages.ANSWERED, offset, at)
        if origin.stream != WEIGHTS:
            return
        if topic in ("tasks", "refusals"):
            if self._scanned.words[agent] == duties.ANSWERS_ALL:
                self._granted[topic, offset] += 1
                if len(self._granted) >= _AT_ONCE:
                    self._write_granted()
        elif topic in duties.ONCE_PER_AGENT:
            number = self._scanned.words.number(topic)
            add(origin.index, pages.SAID, offset, at, number, agent)

    def _write_granted(self) -> None:
        for (topic, offset), number in self._granted.items():
            word, part = self._scanned.words.number(topic), self._scanned.parts[WEIGHTS]
            self._scanned.pages.add(part.index, pages.GRANTED, offset, word, number)
        self._granted.clear()

    def _version(self, identity: bytes) -> int | None:
        """Where a version lies that an audit before has seen."""
        if not any(part.start for part in self._scanned.parts.values()):
            return None
        try:
            found = self._log.find(identity.hex())
        except BusError:
            return None
        return found.offset if found is not None and found.topic == WEIGHTS[0] else None

    def _said(self, topic: str, link: Link, offset: int) -> None:
        part, (at, first, second) = self._scanned.parts[WEIGHTS], link.place
        if topic == "curricula":
            self._scanned.pages.add(part.index, pages.STATE, offset, first, second)
        else:
            self._scanned.pages.add(part.index, pages.DECIDED, offset, at, first, second)

    def _judge(self, part: Part, fact: pages.Fact) -> None:
        """The scan may have missed what is named: damaged neighbours, heads of another moment."""
        kind, offset = fact.first, fact.offset
        topic_of = part.stream[0]
        topic = _wanted(topic_of, kind)
        try:
            [record] = self._log.read(*part.stream, offset, offset + 1)
            named = _named(record, kind)
        except (BusError, Unreadable, ValueError):
            # The scan could read it: it is reported by whoever cannot.
            return
        try:
            found = self._log.find(named)
        except BusError:
            found = None
        if found is None or found.topic != topic:
            says = "answers" if kind == links.CAUSE else "names the objective"
            self._findings.violate(
                "I3",
                f"event {record.event_id} at {part.place(offset)} {says} {named}, "
                f"which is not on topic {topic}",
            )
        elif kind == links.CAUSE:
            origin = self._scanned.parts.get((found.topic, found.partition))
            if origin is None or not (found.offset < origin.start or duties.is_once(topic_of)):
                return
            place = part.place(offset)
            self._headers.check_dates(place, seconds_of(record), seconds_of(found))
            agent = self._scanned.words.number(agent_of(record))
            self._answers(topic_of, part.at(offset), origin.at(found.offset), agent)


def _named(record: Record, kind: int) -> str:
    """What a record says that it answers, or by whose settings it was asked."""
    if kind == links.CAUSE:
        return record.headers.get("ce_causationid", "")
    event = record.event()
    return event.objective or "" if isinstance(event, Curriculum) else ""


def _wanted(topic: str, kind: int) -> str:
    """The topic of what an event on `topic` names."""
    return duties.answers(topic) if kind == links.CAUSE else "control"
