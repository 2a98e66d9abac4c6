"""Which scores of an evaluation make up its two means, and how sure the held-out one is.
Knows nothing but evaluations.
"""

from collections.abc import Sequence

from agents.evaluator import wilson_interval
from bus.events import Evaluation, SuiteScore


class HeldOutLevels:
    """Where the levels of the warm-up end: `seen` is the mean of the scores up to there,
    `held_out` of those above.

    An evaluation says it as its `warmup_end`. Old ones do not: for those it is what others of the
    run say, or else a guess, the level whose split of the scores gives the two means. Several may
    while all scores are alike; then it is the lowest.
    """

    def __init__(self) -> None:
        self._said: int | None = None
        self._guesses: set[int] = set()

    def add(self, evaluation: Evaluation) -> None:
        if evaluation.warmup_end is not None:
            self._said = evaluation.warmup_end
        else:
            fitting = _fitting_ends(evaluation)
            self._guesses = (self._guesses & fitting) or self._guesses or fitting

    @property
    def warm_up_end(self) -> int | None:
        """No level above it belongs to the warm-up; None if neither events nor scores tell."""
        return min(self._guesses, default=None) if self._said is None else self._said

    @property
    def is_guess(self) -> bool:
        """Whether the end is known from no event."""
        return self._said is None and bool(self._guesses)

    def held_out(self, evaluation: Evaluation) -> float | None:
        """The mean of the held-out scores, None where there is none."""
        return evaluation.held_out if self._scores(evaluation, seen=False) else None

    def seen(self, evaluation: Evaluation) -> float | None:
        """The mean of the scores of the warm-up's levels, None where there is none."""
        return evaluation.seen if self._scores(evaluation, seen=True) else None

    def interval(self, evaluation: Evaluation) -> tuple[float, float] | None:
        """95 % Wilson interval of `held_out`, over all the tasks that it is the mean of; None
        where there are none, or where nobody knows which they are."""
        if self._end(evaluation) is None:
            return None
        total = sum(score.total for score in self._scores(evaluation, seen=False))
        return wilson_interval(evaluation.held_out, total) if total else None

    def _scores(self, evaluation: Evaluation, *, seen: bool) -> Sequence[SuiteScore]:
        end = self._end(evaluation)
        if end is None:
            return evaluation.scores
        return [score for score in evaluation.scores if (score.level <= end) == seen]

    def _end(self, evaluation: Evaluation) -> int | None:
        return self.warm_up_end if evaluation.warmup_end is None else evaluation.warmup_end


def measured(evaluation: Evaluation) -> Evaluation:
    """The evaluation without the suites that asked nothing: those have no accuracy."""
    scores = tuple(score for score in evaluation.scores if score.total > 0)
    return evaluation.model_copy(update={"scores": scores})


def _fitting_ends(evaluation: Evaluation) -> set[int]:
    """The ends whose split of the scores gives `seen` and `held_out` as the means."""
    levels = sorted({score.level for score in evaluation.scores})
    ends = set()
    for end in [*(level - 1 for level in levels[:1]), *levels]:
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
