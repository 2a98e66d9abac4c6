"""Every task attempted, every attempt judged, every judgment learned from in one version: what
the cursors call done, against the outcomes on the log and in the manifests, a page of records in
memory at a time. Reads no file.
"""

from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from bus.cursor import Cursor
from bus.errors import Unreadable
from bus.events import DeadLetter
from bus.log import Log
from bus.records import Position
from observability.audit import duties
from observability.audit.answers import Cursors
from observability.audit.facts.chains import Chains
from observability.audit.facts.pages import BELIEVED, TRAINED, Fact, Page
from observability.audit.findings import Findings
from observability.audit.learning import is_found_at
from observability.audit.reading import Stream, readable
from observability.audit.scanned import Part, Scanned
from observability.audit.staleness import Staleness
from trainer.checkpoint.manifest import (
    DamagedCheckpoint,
    Dropped,
    Manifest,
    checkpoint_folders,
    id_of_place,
    read_manifest,
)

_START = Cursor()


class Outcomes:
    """`before` are the cursors from before the ends of the log were read: what was done then must
    have an outcome. What has an outcome must be done in those from `after`."""

    def __init__(
        self,
        log: Log,
        run: Path,
        scanned: Scanned,
        before: Cursors,
        after: Cursors,
        findings: Findings,
        chains: Chains,
    ) -> None:
        self._log = log
        self._run = run
        self._scanned = scanned
        self._before, self._after = before, after
        self._findings = findings
        self.open: dict[Stream, list[int]] = {}
        self._staleness = Staleness(
            log, partial(scanned.setting, "trainer", "max_staleness"), chains, findings
        )

    def check(self, unpublished: int | None, *, keep_open: bool = False) -> None:
        """After the last version; one of them may be `unpublished`. What is `open` is kept for a
        snapshot."""
        self._check_cursors()
        for part in self._scanned.parts.values():
            group = duties.completer(part.stream[0])
            # A group whose cursors cannot be read has been reported, and proves nothing more.
            known = group and group in self._before and group in self._after
            for low, _ in self._scanned.pages.spans(part.index, part.start):
                page = self._scanned.pages.page(part.index, low)
                answered = self._answered(part, page)
                if part.stream[0] in duties.LEARNED_FROM:
                    consumed_by = self._consumed_by(part, page)
                    if known:
                        self._check_learned(part, page, group, consumed_by, unpublished)
                    learned = {at for at, by in consumed_by.items() if abs(by) - 1 != unpublished}
                    answered |= learned
                elif known:
                    self._check_answered(part, page, group, answered)
                self._check_letters(part, page, answered)
                if keep_open and group:
                    ended = answered | page.dead()
                    self.open.setdefault(part.stream, []).extend(
                        at for at in part.offsets(page.low, page.high) if at not in ended
                    )

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
            if fact.offset in answered or part.is_closed(fact.offset):
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
        if part.is_closed(offset) and not earlier and reason != "duplicate":
            earlier = self._consumed_before(part, offset, number)
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

    def _consumed_before(self, part: Part, offset: int, number: int) -> int:
        """Which version consumed what was done in an audit before; its manifest says so."""
        topic, partition = part.stream
        for manifest in self._manifests(number):
            for one in manifest.consumed:
                if (one.topic, one.partition, one.offset) == (topic, partition, offset):
                    trained = not isinstance(one, Dropped)
                    return manifest.version + 1 if trained else -manifest.version - 1
        return 0

    def _manifests(self, number: int) -> Iterator[Manifest]:
        """Those of the versions before `number`, newest first."""
        for folder in sorted(checkpoint_folders(self._run), reverse=True):
            with suppress(DamagedCheckpoint, OSError):
                manifest = read_manifest(folder)
                if manifest.version < number:
                    yield manifest

    def _has_letter_before(self, part: Part, letter: Fact) -> bool:
        """Whether a letter of that group about that record was seen by an audit before."""
        dead = self._scanned.part_at(letter.first)
        group = self._scanned.groups[letter.second]
        for record in readable(self._log, dead.stream, dead.start, Findings()):
            with suppress(Unreadable):
                event = record.event()
                if isinstance(event, DeadLetter) and event.group == group:
                    origin = (event.origin_topic, event.origin_partition)
                    if (origin, event.origin_offset) == (part.stream, letter.offset):
                        return True
        return False

    def _check_answered(self, part: Part, page: Page, group: str, answered: set[int]) -> None:
        before = self._before[group].get(part.stream, _START)
        after = self._after[group].get(part.stream, _START)
        dead = page.dead()
        for offset in part.offsets(page.low, page.high):
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
        for offset in part.offsets(page.low, page.high):
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
            before = part.is_closed(letter.offset) and self._has_letter_before(part, letter)
            if before or (letter.second, letter.offset) in seen:
                self._findings.violate("I7", f"{name} is the second about {about}")
            seen.add((letter.second, letter.offset))
            cursors = self._after.get(group)
            done = cursors is None or cursors.get(part.stream, _START).is_done(letter.offset)
            if not done:
                self._findings.violate("I7", f"{name} is about {about}, which is not done")
            has_answer = letter.offset in answered or (part.is_closed(letter.offset) and not before)
            is_answered = has_answer and part.stream[0] not in duties.LEARNED_FROM
            if is_answered and group == duties.completer(part.stream[0]):
                self._findings.violate("I7", f"{name} is about {about}, which has an answer")
