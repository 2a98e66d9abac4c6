"""The means of an evaluation against the suites that it lists. What a model answered is not asked
again here."""

import math
from statistics import fmean

from bus.events import Evaluation
from observability.audit.findings import Findings


def check_scores(event: Evaluation, place: str, findings: Findings) -> None:
    right = all(0 <= score.correct <= score.total for score in event.scores)
    if right and event.warmup_end is not None:
        seen = [one.accuracy for one in event.scores if one.total and one.level <= event.warmup_end]
        above = [one.accuracy for one in event.scores if one.total and one.level > event.warmup_end]
        right = _is_mean(event.seen, seen) and _is_mean(event.held_out, above)
    if not right:
        findings.gather(
            "I12",
            "the means of {example} are not those of its suites",
            "the means of {number} evaluations are not those of their suites: {examples}",
            place,
        )


def _is_mean(said: float, accuracies: list[float]) -> bool:
    mean = fmean(accuracies) if accuracies else 0.0
    return math.isclose(said, mean, rel_tol=1e-9, abs_tol=1e-12)
