"""Every task attempted, every attempt judged, every judgment learned from in one version: what
the cursors call done, against the outcomes on the log and in the manifests, a page of records in
memory at a time. Reads no file.
"""

from bus.cursor import Cursor
from bus.log import Log
from bus.records import Position
from observability.audit import duties
from observability.audit.answers import Cursors
from observability.audit.facts.pages import BELIEVED, TRAINED, Fact, Page
from observability.audit.findings import Findings
from observability.audit.learning import is_found_at
from observability.audit.scanned import Part, Scanned
from observability.audit.staleness import Staleness
from trainer.checkpoint.manifest import id_of_place

_START = Cursor()


class Outcomes:
    """`before` are the cursors from before the ends of the log were read: what was done then must
    have an outcome. What has an outcome must be done in those from `after`."""

    def __init__(
        self, log: Log, scanned: Scanned, before: Cursors, after: Cursors, findings: Findings
    ) -> None:
        self._log = log
        self._scanned = scanned
        self._before, self._after = before, after
        self._findings = findings
        self._staleness = Staleness(log, scanned.setting("trainer", "max_staleness"), findings)

    def check(self, unpublished: int | None) -> None:
        """After the last version; one of them may be `unpublished`."""
        self._check_cursors()
        for part in self._scanned.parts.values():
            group = duties.completer(part.stream[0])
            # A group whose cursors cannot be read has been reported, and proves nothing more.
            known = group and group in self._before and group in self._after
            for low, _ in self._scanned.pages.spans(part.index):
                page = self._scanned.pages.page(part.index, low)
                answered = self._answered(part, page)
                if part.stream[0] in duties.LEARNED_FROM:
                    consumed_by = self._consumed_by(part, page)
                    if known:
                        self._check_learned(part, page, group, consumed_by, unpublished)
                elif known:
                    self._check_answered(part, page, group, answered)
                self._check_letters(part, page, answered)

    def _check_cursors(self) -> None:
        for group, cursors in self._before.items():
            for (topic, partition), cursor in cursors.items():
                reached = cursor.runs[-1][1] if cursor.runs else cursor.base
                part = self._scanned.parts.get((topic, partition))
                end = 0 if part is None else part.end
                if reached > end:
                    self._findings.violate(
                        "I5",
                        f"the log went back from {topic}/{partition}/{reached}, which group "
                        f"{group} has reached, to {end}",
                    )

    def _answered(self, part: Part, page: Page) -> set[int]:
        """The records that have the one answer that they may have."""
        answered: set[int] = set()
        for fact in page.answers:
            if fact.offset in answered:
                answer = self._scanned.part_at(fact.first)
                self._findings.violate(
                    "I2",
                    f"{answer.stream[0][:-1]} {self._id_at(fact.first)} at "
                    f"{self._scanned.place(fact.first)} is the second that answers "
                    f"{part.place(fact.offset)}",
                    "duplicated",
                )
            answered.add(fact.offset)
        return answered

    def _id_at(self, at: int) -> str:
        topic, partition, offset = self._scanned.place(at).rsplit("/", 2)
        found = list(self._log.read(topic, int(partition), int(offset), int(offset) + 1))
        return found[0].event_id if found else ""

    def _consumed_by(self, part: Part, page: Page) -> dict[int, int]:
        """By offset, number + 1 of the version that trained on it, negative if it was dropped."""
        consumed_by: dict[int, int] = {}
        for fact in page.consumed:
            if fact.kind == BELIEVED:
                for offset in range(fact.offset, fact.first):
                    consumed_by.setdefault(offset, fact.second + 1)
            elif self._is_at(part, page, fact):
                self._consume(part, page, fact, consumed_by)
        return consumed_by

    def _is_at(self, part: Part, page: Page, fact: Fact) -> bool:
        """Whether the event lies where it is said; it was there before the version was."""
        event_id, place = fact.identity.hex(), part.place(fact.offset)
        found = page.ids.get(fact.offset)
        if fact.offset in page.nameless:
            is_there = event_id == id_of_place(*part.stream, fact.offset)
        elif found is not None:
            is_there = found == fact.identity
        else:
            topic, partition = part.stream
            position = Position(topic=topic, partition=partition, offset=fact.offset)
            is_there = is_found_at(self._log, event_id, position)
        if not is_there:
            self._findings.violate(
                "I5",
                f"version {fact.first} consumed {event_id}, which is not the event at {place}",
            )
        elif fact.third and page.commits[fact.offset - page.low] > fact.third:
            self._findings.gather(
                "I10",
                "version {example} consumed what was committed after it was published",
                "{number} times a version consumed what was committed after it was published: "
                "{examples}",
                f"{fact.first} ({place})",
            )
        return is_there

    def _consume(self, part: Part, page: Page, fact: Fact, consumed_by: dict[int, int]) -> None:
        offset, number, topic = fact.offset, fact.first, part.stream[0]
        trained = fact.second == TRAINED
        reason = "" if trained else self._scanned.words[fact.second]
        self._findings.count("trained" if trained else "dropped")
        self._findings.count(f"trained/{topic}" if trained else f"dropped/{reason}")
        earlier = consumed_by.get(offset, 0)
        # A record that came again and was dropped as a duplicate is how it should be.
        if earlier and reason != "duplicate":
            first = f"{'trained' if earlier > 0 else 'dropped'} by version {abs(earlier) - 1}"
            self._findings.violate(
                "I2",
                f"event {fact.identity.hex()} at {part.place(offset)} was "
                f"{first} and {'trained' if trained else 'dropped'} again by version {number}",
                "trained_twice" if trained and earlier > 0 else None,
            )
        if not earlier or trained:
            consumed_by[offset] = number + 1 if trained else -number - 1
        if trained and topic == "judgments":
            drawn = page.versions[offset - page.low]
            self._staleness.check(fact.identity.hex(), number, part, offset, drawn)

    def _check_answered(self, part: Part, page: Page, group: str, answered: set[int]) -> None:
        before = self._before[group].get(part.stream, _START)
        after = self._after[group].get(part.stream, _START)
        dead = page.dead()
        for offset in range(page.low, page.high):
            if offset in answered:
                if not after.is_done(offset):
                    self._findings.violate(
                        "I5",
                        f"{part.place(offset)} has an answer, but is not done for group {group}",
                    )
            elif offset in dead:
                continue
            elif not before.is_done(offset):
                self._findings.count(f"pending/{part.stream[0]}")
            else:
                self._findings.violate(
                    "I1",
                    f"{part.place(offset)} is done for group {group}, with neither an answer "
                    "nor a dead letter",
                    "lost",
                )

    def _check_learned(
        self,
        part: Part,
        page: Page,
        group: str,
        consumed_by: dict[int, int],
        unpublished: int | None,
    ) -> None:
        before = self._before[group].get(part.stream, _START)
        after = self._after[group].get(part.stream, _START)
        dead = page.dead()
        for offset in range(page.low, page.high):
            consumed = consumed_by.get(offset, 0)
            number = abs(consumed) - 1
            if consumed and number == unpublished:
                if before.is_done(offset):
                    self._findings.violate(
                        "I5",
                        f"the log went back from version {number}: {part.place(offset)} is done, "
                        "but the version that consumed it is not on the log",
                    )
            elif consumed:
                if not after.is_done(offset):
                    self._findings.violate(
                        "I5",
                        f"version {number} consumed {part.place(offset)}, which is not done for "
                        f"group {group}",
                    )
            elif not before.is_done(offset):
                self._findings.count(f"pending/{part.stream[0]}")
            elif offset not in dead:
                self._findings.violate(
                    "I1",
                    f"{part.place(offset)} is done for group {group}, but no version trained "
                    "on it or dropped it",
                    "lost",
                )

    def _check_letters(self, part: Part, page: Page, answered: set[int]) -> None:
        seen: set[tuple[int, int]] = set()
        for letter in page.letters:
            group, about = self._scanned.groups[letter.second], part.place(letter.offset)
            name = f"the dead letter of group {group} at {self._scanned.place(letter.first)}"
            if (letter.second, letter.offset) in seen:
                self._findings.violate("I7", f"{name} is the second about {about}")
            seen.add((letter.second, letter.offset))
            cursors = self._after.get(group)
            done = cursors is None or cursors.get(part.stream, _START).is_done(letter.offset)
            if not done:
                self._findings.violate("I7", f"{name} is about {about}, which is not done")
            if letter.offset in answered and group == duties.completer(part.stream[0]):
                self._findings.violate("I7", f"{name} is about {about}, which has an answer")
