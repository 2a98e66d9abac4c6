"""What a version says of its batch, folded again from the judgments that it was trained on. Shares
nothing with what gathered them.
"""

import math
from collections.abc import Iterator, Mapping
from statistics import fmean

from bus.errors import BusError, Unreadable
from bus.events import Judgment
from bus.log import Log
from observability.audit.facts.chains import Chains
from observability.audit.findings import Findings
from trainer.checkpoint.manifest import Manifest


class Batches:
    """`chains` know the versions before the one that is checked."""

    def __init__(self, log: Log, chains: Chains, findings: Findings) -> None:
        self._log = log
        self._chains = chains
        self._findings = findings

    def check(self, manifest: Manifest) -> None:
        judgments = list(self._judgments(manifest))
        if None in judgments:
            # What cannot be read is reported where it lies.
            return
        batch = [one for one in judgments if one is not None]
        said = {(one.family, one.level): one for one in manifest.weights.batch}
        levels = {
            place: (one.tasks, one.samples, one.correct) for place, one in sorted(said.items())
        }
        if levels != _levels(batch):
            self._differs(manifest, "tasks, samples and right answers by level")
        metrics = manifest.weights.metrics
        for name, value in _metrics(batch, manifest.version - 1, self._chains).items():
            if name in metrics and not math.isclose(metrics[name], value, rel_tol=1e-9):
                self._differs(manifest, f"metric {name}")

    def _judgments(self, manifest: Manifest) -> Iterator[Judgment | None]:
        for consumed in manifest.trained:
            if consumed.topic != Judgment.topic:
                continue
            place = (consumed.topic, consumed.partition, consumed.offset)
            try:
                record = next(self._log.read(*place, consumed.offset + 1), None)
                event = None if record is None else record.event()
            except (BusError, Unreadable):
                event = None
            yield event if isinstance(event, Judgment) else None

    def _differs(self, manifest: Manifest, what: str) -> None:
        self._findings.gather(
            "I12",
            f"the {what} of version {{example}} are not those of what it was trained on",
            f"the {what} of {{number}} versions are not those of what they were trained on: "
            "{examples}",
            str(manifest.version),
        )


def _levels(batch: list[Judgment]) -> Mapping[tuple[str, int], tuple[int, int, int]]:
    counted: dict[tuple[str, int], list[Judgment]] = {}
    for judgment in batch:
        task = judgment.attempt.task
        counted.setdefault((task.family, task.level), []).append(judgment)
    return {
        place: (
            len(found),
            sum(len(_rewards(one)) for one in found),
            sum(reward >= 1 for one in found for reward in _rewards(one)),
        )
        for place, found in sorted(counted.items())
    }


def _rewards(judgment: Judgment) -> list[float]:
    """Of the samples that were drawn without a hint: what was hinted at is learned, and not
    counted."""
    return [
        verdict.reward
        for sample, verdict in zip(judgment.attempt.samples, judgment.verdicts, strict=False)
        if all(turn.learned_prompt is None for turn in sample.turns)
    ]


def _metrics(batch: list[Judgment], parent: int, chains: Chains) -> Mapping[str, float]:
    """What can be folded from judgments alone: a loss or a gradient cannot."""
    samples = [sample for one in batch for sample in one.attempt.samples]
    turns = [turn for sample in samples for turn in sample.turns]
    folded = {"samples": float(len(samples)), "tokens": float(sum(len(t.tokens) for t in turns))}
    if not batch:
        return folded
    ages = []
    for one in batch:
        spans = [
            span.version
            for sample in one.attempt.samples
            for turn in sample.turns
            if turn.trainable
            for span in turn.spans
        ]
        ages += [chains.age(min(spans), parent)] if spans else []
    ages = ages or [0]
    folded["reward"] = fmean([reward for one in batch for reward in _rewards(one)] or [0.0])
    folded["staleness_mean"], folded["staleness_max"] = fmean(ages), float(max(ages))
    return folded
