"""Reads the log once, of most topics the headers only, and writes down by id who names whom and by
place what is known of it. Knows no cursor and no checkpoint.
"""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from bus.errors import Unreadable
from bus.events import Control, Curriculum, DeadLetter, Event, Promotion
from bus.log import Log
from bus.records import Record
from bus.topics import DEAD_SUFFIX
from observability.audit import duties
from observability.audit.answers import CONTROL, WEIGHTS
from observability.audit.facts.carried import carry, part_since
from observability.audit.facts.edge import Reading
from observability.audit.facts.links import CAUSE, EVENT, OBJECTIVE, SAID, Links, Place
from observability.audit.facts.pages import LETTER, NAMED, NAMELESS, NO_VERSION, Pages
from observability.audit.facts.snapshot import Snapshot
from observability.audit.findings import Findings
from observability.audit.headers import Headers, agent_of, seconds_of, version_of
from observability.audit.joining import Joining
from observability.audit.order import Order
from observability.audit.reading import Stream, readable
from observability.audit.scanned import Part, Scanned, Start, identity_of
from observability.replay.forks import forks_among

Show = Callable[[str, int, int], None]
"""What is being looked at, how much of it is done, and of how much."""

_SHOWN = 1024
_MOST = 1 << 62


def scan(
    log: Log,
    ends: dict[Stream, int],
    run: str | None,
    findings: Findings,
    show: Show,
    folder: Path,
    since: Snapshot | None = None,
) -> Scanned:
    """Read every record below `ends` once, and not what lies before `since`. `run` is what it is
    called in its events, where that is known; `show` is told how many records are read, and of how
    many; `folder` is for what must be remembered of them."""
    return _Scan(log, ends, run, findings, show, folder, since).run()


class _Scan:
    def __init__(
        self,
        log: Log,
        ends: dict[Stream, int],
        run: str | None,
        findings: Findings,
        show: Show,
        folder: Path,
        since: Snapshot | None,
    ) -> None:
        self._log = log
        self._findings = findings
        self._show = show
        streams = sorted(ends, key=lambda at: (duties.reading_order(at[0]), at))
        parts = {
            stream: part_since(since, index, stream, ends[stream])
            for index, stream in enumerate(streams)
        }
        new = sum(part.end - part.start + len(part.open) for part in parts.values())
        self._links = Links(folder / "links", new)
        self._since = since
        pages = Pages(folder / "pages", [ends[stream] for stream in streams])
        control = readable(log, CONTROL, ends.get(CONTROL, 0), Findings())
        known = forks_among(control)
        self._scanned = Scanned(parts=parts, pages=pages, streams=streams, forks=known)
        partitions = Counter(topic for topic, _ in streams)
        self._headers = Headers(run, partitions, findings, known)
        self._joining = Joining(log, self._scanned, self._headers, findings)

    def run(self) -> Scanned:
        if self._since is not None:
            carry(self._since, self._scanned, self._links)
        whole, before = sum(part.end - part.start for part in self._scanned.parts.values()), 0
        for stream, part in self._scanned.parts.items():
            number = 0
            start, piece = part.start, part.in_one_piece
            order = Order(self._log, stream, part.end, start, in_one_piece=piece)
            reading = Reading(None if self._since is None else self._since.edge(stream))
            for record in readable(self._log, stream, part.end, self._findings, start):
                number += 1
                reading.take(record)
                self._take(part, record, order.of(record.offset))
                if number % _SHOWN == 1:
                    self._show("events", before + number, whole)
            before += part.end - part.start
            piece = order.in_one_piece
            self._scanned.edges[stream] = reading.edge(part.end, in_one_piece=piece)
            self._findings.count("events", number)
            if number or not stream[0].endswith(DEAD_SUFFIX):
                self._findings.count(f"events/{stream[0]}", number)
        self._joining.join(self._links)
        return self._scanned

    def _take(self, part: Part, record: Record, commit: int) -> None:
        topic, offset, pages = part.stream[0], record.offset, self._scanned.pages
        identity = identity_of(record.event_id)
        if identity is None:
            self._findings.count("unreadable")
            pages.add(part.index, NAMELESS, offset)
            return
        self._headers.check(record, part.place(offset))
        here = Place(part.at(offset), seconds_of(record), commit)
        if self._since is not None:
            self._joining.check_new(part, offset, record.event_id)
        self._links.add(EVENT, identity, here)
        if topic in duties.LEARNED_FROM or part.stream == WEIGHTS:
            version = version_of(record) if topic in ("judgments", "weights") else NO_VERSION
            pages.add(part.index, NAMED, offset, version, commit, identity=identity)
        if duties.answers(topic):
            self._answer(part, record, here)
        if topic == "control":
            self._control(record)
        elif topic.endswith(DEAD_SUFFIX):
            self._dead_letter(part, record)

    def _answer(self, part: Part, record: Record, here: Place) -> None:
        topic, cause = part.stream[0], record.headers.get("ce_causationid")
        agent = 0
        if duties.answers(topic) == "weights":
            agent = self._scanned.words.number(agent_of(record))
        if cause is not None:
            self._name(CAUSE, part, here, cause, agent)
        elif topic != "weights":
            # A first version answers nothing; any other such record is for a dead letter.
            self._findings.count("unreadable")
        if topic in ("curricula", "promotions"):
            with suppress(Unreadable):
                self._said(record.event(), part, here, cause)

    def _said(self, event: Event, part: Part, here: Place, cause: str | None) -> None:
        """The body of what answers a version."""
        identity = identity_of(cause or "")
        if isinstance(event, Curriculum):
            if event.agent == duties.ANSWERS_ALL and identity is not None:
                state = Place(here.at, _counted(event.proposed), _counted(event.refused))
                self._links.add(SAID, identity, state)
            # The settings that a source asked by are on the log, for whoever asks why.
            if event.objective is not None:
                self._name(OBJECTIVE, part, here, event.objective)
        elif isinstance(event, Promotion) and identity is not None:
            words = self._scanned.words
            decided = words.number(event.agent), words.number(event.decision)
            self._links.add(SAID, identity, Place(here.at, *decided))

    def _name(self, kind: int, part: Part, here: Place, named: str, more: int = 0) -> None:
        identity = identity_of(named)
        if identity is None:
            self._joining.miss(here.at, kind)
        else:
            self._links.add(kind, identity, here, more)

    def _control(self, record: Record) -> None:
        try:
            event = record.event()
        except Unreadable:
            self._findings.count("unreadable")
            return
        if not isinstance(event, Control):
            return
        starts = self._scanned.starts
        changed = not starts or event.parent is not None or starts[-1].settings != event.settings
        if event.command == "start" and changed:
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
        owes = duties.completer(origin[0]) in ("", event.group)
        group = self._scanned.groups.number(event.group)
        self._scanned.pages.add(of.index, LETTER, offset, part.at(record.offset), group, int(owes))


def _counted(number: int) -> int:
    """What a row has room for."""
    return max(-_MOST, min(number, _MOST))
