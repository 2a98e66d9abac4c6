"""Reads every body: what headers promise, what is embedded, who judged how, what a batch held.
Knows no cursor; what takes a domain, a judge or an engine is handed in.

    versions, oldest first -> the batch of each, refolded
    every record            -> its header, what is embedded in it, its verdicts, its scores
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bus.errors import Unreadable
from bus.events import Attempt, DeadLetter, Evaluation, Event, Judgment, Lesson, Task
from bus.log import Log
from bus.records import Record
from observability.audit import duties
from observability.audit.deep.batches import Batches
from observability.audit.deep.bodies import Bodies
from observability.audit.deep.lessons import check_lesson, check_memory
from observability.audit.deep.letters import check_letter
from observability.audit.deep.problems import Problems
from observability.audit.deep.samples import Samples
from observability.audit.deep.scores import check_scores
from observability.audit.deep.verdicts import Verdicts
from observability.audit.facts.chains import Chains, Head
from observability.audit.facts.pages import BELIEVED, TRAINED
from observability.audit.findings import Findings
from observability.audit.reading import readable
from observability.audit.scan import Show
from observability.audit.scanned import Part, Scanned, number_in
from trainer.checkpoint.manifest import Manifest

_SHOWN = 256
_JUDGED_BY = ("domain", "judge", "judges", "critic", "sampler")


@dataclass(slots=True, kw_only=True)
class Deep:
    """`problems` and `verdicts` are None where the parts of the run are not here."""

    log: Log
    findings: Findings
    show: Show
    problems: Problems | None = None
    verdicts: Verdicts | None = None
    chains: Chains = field(default_factory=Chains)
    _num_lessons: int = field(default=0, init=False)

    def version(self, manifest: Manifest) -> None:
        """The next version of the lineage, oldest first."""
        Batches(self.log, self.chains, self.findings).check(manifest)
        weights = manifest.weights
        self.chains.add(weights.policy, Head(weights.number, weights.epoch, weights.step))

    def records(self, scanned: Scanned) -> None:
        """After the last version: everything that the scan has seen."""
        bodies = Bodies(self.log, self.findings)
        recipes = [said for _, said in scanned.recipes()] or [{}]
        samples = [Samples(number_in(said, "solver", "samples"), self.findings) for said in recipes]
        again = [_judged_alike(said, recipes[-1]) for said in recipes]
        whole, before = sum(part.end for part in scanned.parts.values()), 0
        lessons = scanned.parts.get((Lesson.topic, 0))
        self._num_lessons = 0 if lessons is None else lessons.end
        for stream in scanned.streams:
            part = scanned.parts[stream]
            # The scan has already reported what cannot be read at all.
            for record in readable(self.log, stream, part.end, Findings()):
                event = self._event(record, part, scanned)
                if event is not None:
                    after = sum(fork.has(stream, record.offset) for fork in scanned.forks)
                    after = min(after, len(recipes) - 1)
                    self._check(record, event, bodies, samples[after], again[after])
                if record.offset % _SHOWN == 0:
                    self.show("bodies", before + record.offset + 1, whole)
            before += part.end

    def _event(self, record: Record, part: Part, scanned: Scanned) -> Event | None:
        """None where a body cannot be read: a fault where somebody says he has worked on it."""
        try:
            return record.event()
        except Unreadable as error:
            place, why = part.place(record.offset), str(error)
        page, offset = scanned.pages.page_of(part.index, record.offset), record.offset
        if offset in page.nameless or offset in page.dead():
            return None
        learned = any(
            fact.offset <= offset < fact.first
            if fact.kind == BELIEVED
            else (fact.offset, fact.second) == (offset, TRAINED)
            for fact in page.consumed
        )
        worked_on = learned or any(fact.offset == offset for fact in page.answers)
        if duties.completer(record.topic) and not worked_on:
            return None
        self.findings.gather(
            "I12",
            f"the body of {{example}} cannot be read ({_one_line(why)}), and it has no dead letter",
            "{number} bodies cannot be read, and have no dead letters: {examples}",
            place,
        )
        return None

    def _check(
        self, record: Record, event: Event, bodies: Bodies, samples: Samples, again: bool
    ) -> None:
        """With `again` a judgment is one of the judges that are here."""
        place = f"{record.topic}/{record.partition}/{record.offset}"
        bodies.check(record, event, place)
        match event:
            case Task():
                if self.problems is not None:
                    self.problems.check(event, place, self.findings)
            case Attempt():
                samples.check(event, place)
                check_memory(event, self._num_lessons, place, self.findings)
            case Lesson():
                check_lesson(self.log, event, place, self.findings)
            case Judgment():
                if len(event.verdicts) != len(event.attempt.samples):
                    self.findings.gather(
                        "I12",
                        "{example} has not one verdict for each sample",
                        "{number} judgments have not one verdict for each sample: {examples}",
                        place,
                    )
                elif not again:
                    self.findings.count("not_judged_again")
                elif self.verdicts is not None:
                    self.verdicts.check(event, place, self.findings)
            case Evaluation():
                check_scores(event, place, self.findings)
            case DeadLetter():
                check_letter(self.log, event, place, self.findings)


def _judged_alike(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether a recipe and that of a fork have the same judges, of the same tasks."""
    return all(one.get(section) == other.get(section) for section in _JUDGED_BY)


def _one_line(text: str) -> str:
    return text[:120].replace("{", "(").replace("}", ")")
