"""Which scores of an evaluation make up its held-out mean, and how sure that mean is.
Knows nothing but evaluations.
"""

from collections.abc import Sequence
from math import sqrt

from bus.events import Evaluation, SuiteScore


class HeldOutLevels:
    """Learns from evaluations where the levels of the warm-up end: `seen` is the mean of the
    scores up to there, `held_out` of those above. Several ends may fit while all scores are
    alike."""

    def __init__(self) -> None:
        self._ends: set[int] = set()

    def add(self, evaluation: Evaluation) -> None:
        ends = _warm_up_ends(evaluation)
        self._ends = (self._ends & ends) or self._ends or ends

    @property
    def warm_up_end(self) -> int | None:
        """No level above it belongs to the warm-up; None if the scores do not tell."""
        return min(self._ends) if self._ends else None

    def interval(self, evaluation: Evaluation) -> tuple[float, float] | None:
        """95 % Wilson interval of `held_out`, over all the tasks that it is the mean of."""
        end = self.warm_up_end
        total = sum(s.total for s in evaluation.scores if end is not None and s.level > end)
        return _wilson(evaluation.held_out, total) if total else None


def _warm_up_ends(evaluation: Evaluation) -> set[int]:
    """The levels up to which `seen` reaches, judged by which split of the scores gives `seen`
    and `held_out` as their means."""
    levels = sorted({score.level for score in evaluation.scores})
    ends = set()
    for end in [level - 1 for level in levels]:
        seen = [score for score in evaluation.scores if score.level <= end]
        held_out = [score for score in evaluation.scores if score.level > end]
        if _is_mean(evaluation.seen, seen) and _is_mean(evaluation.held_out, held_out):
            ends.add(end)
    return ends


def _is_mean(value: float, scores: Sequence[SuiteScore]) -> bool:
    if not scores:
        return value == 0.0
    mean = sum(score.accuracy for score in scores) / len(scores)
    pooled = sum(score.correct for score in scores) / sum(score.total for score in scores)
    return min(abs(value - mean), abs(value - pooled)) < 1e-6


def _wilson(share: float, total: int, z: float = 1.959964) -> tuple[float, float]:
    centre = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z * sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    half /= 1 + z * z / total
    return max(0.0, centre - half), min(1.0, centre + half)
