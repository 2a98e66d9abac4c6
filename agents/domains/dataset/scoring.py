"""Whether an answer is right, by the scorer that a recipe names. Takes linear time."""

import math
import re
from collections import deque
from collections.abc import Sequence
from typing import Literal

from agents.domains.domain import Problem, Score

Scorer = Literal["exact", "casefold", "numeric", "one_of"]
ACCEPTED = "accepted"
"""Where the metadata of a problem has its other right answers."""

_MAX_DIGITS = 400

# Neither within a word nor a part of a longer number.
_NUMBER = re.compile(
    r"(?<![\w.])[-+]?(?:[0-9]{1,3}(?:,[0-9]{3})++(?![0-9])|[0-9]++)"
    r"(?:\.[0-9]++)?(?:[eE][-+]?[0-9]++)?(?!\w|[.,][0-9])"
)


def score(problem: Problem, answer: str, ended: bool, scorer: Scorer, tolerance: float) -> Score:
    """1.0 for a right answer that the model ended itself, else 0.0."""
    if not ended:
        return Score(value=0.0, reason="not ended")
    if not problem.answer:
        return Score(value=0.0, reason="no known answer")
    if not answer.strip():
        return Score(value=0.0, reason="empty")
    if scorer == "numeric" and number_in(answer) is None:
        return Score(value=0.0, reason="no number")
    accepted = problem.metadata.get(ACCEPTED, (problem.answer,))
    right = is_right(accepted, answer, scorer, tolerance)
    return Score(value=float(right), reason="right" if right else "wrong")


def is_right(accepted: Sequence[str], answer: str, scorer: Scorer, tolerance: float) -> bool:
    """Whether `answer` says the same as one of those that are accepted."""
    if scorer == "numeric":
        found = number_in(answer)
        return found is not None and any(
            known is not None and abs(found - known) <= tolerance
            for known in map(number_in, accepted)
        )
    if scorer == "casefold":
        return answer.strip().casefold() in [known.strip().casefold() for known in accepted]
    return answer.strip() in [known.strip() for known in accepted]


def number_in(text: str) -> float | None:
    """The last number in a text: `-1,234.5` or `2e-3`, not those within words; None without one,
    and for one that no float holds."""
    last = deque(_NUMBER.finditer(text), maxlen=1)
    if not last or len(digits := last[0][0].replace(",", "")) > _MAX_DIGITS:
        return None
    value = float(digits)
    return value if math.isfinite(value) else None
