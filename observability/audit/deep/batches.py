"""What a version says of its batch, folded again from the judgments that it was trained on. Shares
nothing with what gathered them.
"""

import math
from collections.abc import Mapping
from statistics import fmean

from bus.events import Judgment
from bus.log import Log
from observability.audit.facts.chains import Chains
from observability.audit.findings import Findings
from observability.replay.recorded import events_at
from trainer.checkpoint.manifest import Manifest


class Batches:
    """`chains` know the versions before the one that is checked."""

    def __init__(self, log: Log, chains: Chains, findings: Findings) -> None:
        self._log = log
        self._chains = chains
        self._findings = findings

    def check(self, manifest: Manifest) -> None:
        places = [one.position for one in manifest.trained if one.topic == Judgment.topic]
        read = events_at(self._log, places)
        batch = [one for at in places if isinstance(one := read.get(at), Judgment)]
        if len(batch) < len(places):
            # What cannot be read is reported where it lies.
            return
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
