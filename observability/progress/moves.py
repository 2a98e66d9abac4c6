"""Whether learning moves anything: weights that are no longer version 0's, a held-out mean that
rises. Knows nothing but events.
"""

from bus.events import Evaluation, Weights
from observability.progress.held_out import HeldOutLevels
from observability.progress.history import History

FEW = 3
"""Evaluations without progress that are not worth a word."""


SOME, MANY = 10, 20_000
"""Batches, those of right and wrong answers leave something to learn, and events of any kind, that
are no beginning any more."""


class Moves:
    """What the versions of a run have done to the weights. Where nothing `learns`, they are to stay
    as they are."""

    def __init__(self) -> None:
        self.learns = True
        self._first: dict[str, str] | None = None
        self._consumed = 0
        self._batches = 0
        self._moved = False
        self._tried = False
        self._mixed = 0

    def add(self, weights: Weights) -> None:
        if weights.number == 0:
            self._first = weights.files
            return
        tried = weights.metrics.get("steps", 0.0) + weights.metrics.get("skipped", 0.0)
        self._consumed += weights.trained
        self._batches += 1
        self._moved = self._moved or weights.files != self._first
        self._tried = self._tried or tried > 0
        self._mixed += 0 < weights.metrics.get("reward", 0.0) < 1

    @property
    def for_nothing(self) -> int:
        """So many events were trained on while no version differs from version 0."""
        return 0 if self._moved or not self.learns else self._consumed

    @property
    def is_worth_a_word(self) -> bool:
        """Whether more than the first few batches have changed nothing."""
        return self.for_nothing > 0 and self._batches >= SOME

    @property
    def is_broken(self) -> bool:
        """Whether there was something to learn from, or should have been by now, and no version
        differs from version 0."""
        learnable = self._tried or self._mixed >= SOME
        return self.for_nothing > (0 if learnable else MANY)


def evaluations_without_progress(evaluations: History[Evaluation], levels: HeldOutLevels) -> int:
    """How many there were since the best held-out mean; 0 where nothing is left to reach."""
    means = {version: levels.held_out(evaluation) for version, evaluation in evaluations.items()}
    known = {version: mean for version, mean in means.items() if mean is not None}
    if not known or max(known.values()) >= 1.0:
        return 0
    best = max(known, key=lambda version: (known[version], -version))
    unknown = sum(version > best and mean is None for version, mean in means.items())
    return evaluations.since(best) - unknown
