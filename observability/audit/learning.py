"""Every task attempted, every attempt judged, every judgment learned from in one version: what
the cursors call done, against the outcomes on the log and in the manifests. Reads no file.
"""

from collections.abc import Mapping

from bus.cursor import Cursor
from bus.errors import BusError
from bus.events import Weights
from bus.log import Log
from bus.records import Position
from observability.audit import duties
from observability.audit.findings import Findings
from observability.audit.reading import Stream
from observability.audit.scanned import ANSWERED, DEAD, Part, Scanned
from observability.audit.staleness import Staleness
from observability.audit.versions import Version
from trainer.checkpoint.manifest import Consumed, Dropped, Manifest, id_of_place

Cursors = Mapping[str, Mapping[Stream, Cursor]]
"""By group, then by (topic, partition)."""

_START = Cursor()


class Learning:
    """`before` are the cursors from before the ends of the log were read: what was done then must
    have an outcome. What has an outcome must be done in those that `finish` is given."""

    def __init__(self, log: Log, scanned: Scanned, before: Cursors, findings: Findings) -> None:
        self._log = log
        self._scanned = scanned
        self._before = before
        self._after: Cursors = {}
        self._findings = findings
        self._staleness = Staleness(log, scanned.setting("trainer", "max_staleness"), findings)
        self._num_consumed = 0
        self._unpublished: int | None = None

    def take(self, version: Version) -> None:
        """The next version of the lineage, oldest first."""
        manifest = version.manifest
        if manifest is None:
            self._believe(version.weights)
            return
        if not version.published:
            self._unpublished = manifest.version
        published = self._scanned.find(version.weights.id) if version.published else None
        commit = 0 if published is None else published.commit
        for consumed in manifest.trained:
            self._consume(consumed, manifest, None, commit)
        for dropped in manifest.dropped:
            self._consume(dropped, manifest, dropped.reason, commit)
        self._count_tasks(manifest)

    def _believe(self, weights: Weights) -> None:
        """A version whose manifest is gone: its event says at least where it was consumed."""
        self._num_consumed = weights.consumed
        for name, ranges in weights.positions.items():
            topic, _, partition = name.rpartition("/")
            part = self._scanned.parts.get((topic, int(partition or -1)))
            if part is None or not part.consumed_by:
                continue
            for start, end in ranges:
                for offset in range(max(start, 0), min(end, part.end)):
                    part.consumed_by[offset] = part.consumed_by[offset] or weights.number + 1

    def _consume(
        self, consumed: Consumed, manifest: Manifest, reason: str | None, commit: int
    ) -> None:
        number, topic = manifest.version, consumed.topic
        place = f"{topic}/{consumed.partition}/{consumed.offset}"
        part = self._scanned.parts.get((topic, consumed.partition))
        if part is None or not 0 <= consumed.offset < part.end:
            end = 0 if part is None else part.end
            self._findings.violate(
                "I5",
                f"version {number} consumed {consumed.id} at {place}, but the log went back "
                f"from there to {topic}/{consumed.partition}/{end}",
            )
            return
        if not self._is_at(consumed, part, number, commit):
            self._findings.violate(
                "I5", f"version {number} consumed {consumed.id}, which is not the event at {place}"
            )
            return
        if topic not in duties.LEARNED_FROM:
            self._findings.violate(
                "I5", f"version {number} consumed {place}, which no version may consume"
            )
            return
        self._count(topic, reason)
        earlier = part.consumed_by[consumed.offset]
        if earlier:
            self._repeated(consumed, number, reason, earlier)
        if not earlier or reason is None:
            part.consumed_by[consumed.offset] = number + 1 if reason is None else -number - 1
        if reason is None and topic == "judgments":
            self._staleness.check(consumed, number, part)

    def _is_at(self, consumed: Consumed, part: Part, number: int, commit: int) -> bool:
        """Whether the event lies where it is said; it was there before the version was."""
        if (part.stream, consumed.offset) in self._scanned.nameless:
            return consumed.id == id_of_place(*part.stream, consumed.offset)
        found = self._scanned.find(consumed.id)
        if found is not None:
            if commit and found.commit > commit:
                self._findings.gather(
                    "I10",
                    "version {example} consumed what was committed after it was published",
                    "{number} times a version consumed what was committed after it was published: "
                    "{examples}",
                    f"{number} ({consumed.topic}/{consumed.partition}/{consumed.offset})",
                )
            return (found.part.stream, found.offset) == (part.stream, consumed.offset)
        try:
            record = self._log.find(consumed.id)
        except BusError:
            return False
        return (
            record is not None
            and Position(topic=record.topic, partition=record.partition, offset=record.offset)
            == consumed.position
        )

    def _count(self, topic: str, reason: str | None) -> None:
        if reason is None:
            self._findings.count("trained")
            self._findings.count(f"trained/{topic}")
        else:
            self._findings.count("dropped")
            self._findings.count(f"dropped/{reason.partition(':')[0]}")

    def _repeated(self, consumed: Consumed, number: int, reason: str | None, earlier: int) -> None:
        """A record that came again and was dropped as a duplicate is how it should be."""
        if reason == "duplicate":
            return
        first = f"{'trained' if earlier > 0 else 'dropped'} by version {abs(earlier) - 1}"
        twice = reason is None and earlier > 0
        self._findings.violate(
            "I2",
            f"event {consumed.id} at {consumed.topic}/{consumed.partition}/{consumed.offset} was "
            f"{first} and {'trained' if reason is None else 'dropped'} again by version {number}",
            "trained_twice" if twice else None,
        )

    def _count_tasks(self, manifest: Manifest) -> None:
        """`Weights.consumed` grows by the tasks that need no more work."""
        certain = sum(
            consumed.topic != "refusals" and not _is_duplicate(consumed)
            for consumed in manifest.consumed
        )
        # Whether an unreadable refusal belonged to a task is nowhere said.
        unsure = sum(
            dropped.topic == "refusals" and dropped.reason.startswith("unreadable")
            for dropped in manifest.dropped
        )
        grown = manifest.weights.consumed - self._num_consumed
        if not certain <= grown <= certain + unsure:
            self._findings.violate(
                "I5",
                f"version {manifest.version} says that {manifest.weights.consumed} tasks need no "
                f"more work, its manifests say {self._num_consumed + certain}",
            )
        self._num_consumed = manifest.weights.consumed

    def finish(self, after: Cursors) -> None:
        """After the last version: cursors against outcomes, and dead letters."""
        self._after = after
        self._check_cursors()
        for part in self._scanned.parts.values():
            group = duties.completer(part.stream[0])
            # A group whose cursors cannot be read has been reported, and proves nothing more.
            if not group or group not in self._before or group not in after:
                continue
            if part.stream[0] in duties.LEARNED_FROM:
                self._check_learned(part, group)
            else:
                self._check_answered(part, group)
        self._check_letters()

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

    def _check_answered(self, part: Part, group: str) -> None:
        before = self._before[group].get(part.stream, _START)
        after = self._after[group].get(part.stream, _START)
        for offset, marks in enumerate(part.marks):
            if not before.is_done(offset) and not marks:
                self._findings.count(f"pending/{part.stream[0]}")
            elif not marks:
                self._findings.violate(
                    "I1",
                    f"{part.place(offset)} is done for group {group}, with neither an answer "
                    "nor a dead letter",
                    "lost",
                )
            elif marks & ANSWERED and not after.is_done(offset):
                self._findings.violate(
                    "I5", f"{part.place(offset)} has an answer, but is not done for group {group}"
                )

    def _check_learned(self, part: Part, group: str) -> None:
        before = self._before[group].get(part.stream, _START)
        after = self._after[group].get(part.stream, _START)
        for offset, consumed_by in enumerate(part.consumed_by):
            number = abs(consumed_by) - 1
            if consumed_by and number == self._unpublished:
                if before.is_done(offset):
                    self._findings.violate(
                        "I5",
                        f"the log went back from version {number}: {part.place(offset)} is done, "
                        "but the version that consumed it is not on the log",
                    )
            elif consumed_by:
                if not after.is_done(offset):
                    self._findings.violate(
                        "I5",
                        f"version {number} consumed {part.place(offset)}, which is not done for "
                        f"group {group}",
                    )
            elif not before.is_done(offset):
                self._findings.count(f"pending/{part.stream[0]}")
            elif not part.marks[offset] & DEAD:
                self._findings.violate(
                    "I1",
                    f"{part.place(offset)} is done for group {group}, but no version trained "
                    "on it or dropped it",
                    "lost",
                )

    def _check_letters(self) -> None:
        seen: set[tuple[str, Stream, int]] = set()
        for letter in self._scanned.letters:
            topic, partition = letter.origin
            name = f"the dead letter of group {letter.group} at {letter.place}"
            about = f"{topic}/{partition}/{letter.offset}"
            if (letter.group, letter.origin, letter.offset) in seen:
                self._findings.violate("I7", f"{name} is the second about {about}")
            seen.add((letter.group, letter.origin, letter.offset))
            cursors = self._after.get(letter.group)
            done = cursors is None or cursors.get(letter.origin, _START).is_done(letter.offset)
            if not done:
                self._findings.violate("I7", f"{name} is about {about}, which is not done")
            part = self._scanned.parts[letter.origin]
            if part.marks[letter.offset] & ANSWERED and letter.group == duties.completer(topic):
                self._findings.violate("I7", f"{name} is about {about}, which has an answer")


def _is_duplicate(consumed: Consumed) -> bool:
    return isinstance(consumed, Dropped) and consumed.reason == "duplicate"
