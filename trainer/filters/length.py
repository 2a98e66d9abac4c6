"""Answers that are too short to be whole: what a model leaves out shows in the length.

The filter of self-improving transformers (Lee et al. 2025, arXiv 2502.01612): next to the longest
answer of the same family and level in the batch, an answer that is shorter by two and more has
dropped a digit. It asks nobody what is right.
"""

from collections.abc import Sequence
from random import Random
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from bus.events import Judgment
from trainer.parts import Parts


class LengthConfig(BaseModel):
    """Samples whose answer is not shorter by `shorter_by` tokens or more than the longest that was
    judged right among those of its family and level; judgments with none left are left out."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    type: Literal["length"] = "length"
    shorter_by: int = Field(default=2, gt=0)

    def build(self, parts: Parts) -> "Length":
        return Length(self)


class Length:
    def __init__(self, config: LengthConfig) -> None:
        self._shorter_by = config.shorter_by

    def choose(self, judgments: Sequence[Judgment], random: Random) -> Sequence[Judgment]:
        longest: dict[tuple[str, int], int] = {}
        for judgment in judgments:
            for length, right in _lengths(judgment):
                cell = _cell(judgment)
                longest[cell] = max(longest.get(cell, 0), length if right else 0)
        chosen = []
        for judgment in judgments:
            least = longest.get(_cell(judgment), 0) - self._shorter_by + 1
            kept = [
                place for place, (length, _) in enumerate(_lengths(judgment)) if length >= least
            ]
            if len(kept) == len(judgment.verdicts):
                chosen.append(judgment)
            elif kept:
                chosen.append(_of(judgment, kept))
        return chosen


def _cell(judgment: Judgment) -> tuple[str, int]:
    task = judgment.attempt.task
    return task.family, task.level


def _lengths(judgment: Judgment) -> list[tuple[int, bool]]:
    """Of every sample how many tokens its answer has, and whether it was judged right."""
    samples = judgment.attempt.samples
    return [
        (len(sample.turns[-1].tokens), verdict.right)
        for sample, verdict in zip(samples, judgment.verdicts, strict=True)
    ]


def _of(judgment: Judgment, places: Sequence[int]) -> Judgment:
    """The judgment with these of its samples."""
    attempt = judgment.attempt
    samples = tuple(attempt.samples[place] for place in places)
    return judgment.model_copy(
        update={
            "attempt": attempt.model_copy(update={"samples": samples}),
            "verdicts": tuple(judgment.verdicts[place] for place in places),
        }
    )
