"""Self-play fine-tuning: what the data says is to gain on what the model itself says, measured
against the version that said it. Needs the right answers of tasks, and no judge.

SPIN (Chen et al. 2024, arXiv 2401.01335, eq. 4.7) with the logistic loss. While a version learns it
is the main player, and the version that it is made from is its opponent and its reference. There is
nothing to gain once both say the same as the data.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from bus.events import Judgment
from trainer.batch import Batch
from trainer.parts import Parts
from trainer.rows import Row, row_of
from trainer.updates.dpo import preference, shared
from trainer.updates.update import Reference

if TYPE_CHECKING:
    from torch import Tensor

    from trainer.forward import Scored
    from trainer.replay import Replay


class SpinConfig(BaseModel):
    """`steps` optimiser steps share the pairs; `beta` holds the model to the version before."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    type: Literal["spin"] = "spin"
    steps: int = Field(default=1, gt=0)
    beta: float = Field(default=0.1, gt=0)

    def build(self, parts: Parts) -> "Spin":
        return Spin(self, parts.encode)


class Spin:
    """-log sigmoid(beta * margin), the mean over pairs. `encode` writes an answer as tokens."""

    def __init__(self, config: SpinConfig, encode: Callable[[str], tuple[int, ...]]) -> None:
        self._config = config
        self._encode = encode

    @property
    def reference(self) -> Reference | None:
        return "previous"

    def steps(self, batch: Batch, replay: "Replay", random: Random) -> Iterator[list[Row]]:
        yield from shared(self.pairs(batch.judgments), self._config.steps, random)

    def pairs(self, judgments: Sequence[Judgment]) -> list[list[Row]]:
        """Of each sample its task's own answer, of weight 1, and what was sampled, of weight -1;
        of several turns the last. Tasks without an answer give nothing."""
        found: list[list[Row]] = []
        for judgment in judgments:
            if not (answer := judgment.attempt.task.answer):
                continue
            data = self._encode(answer)
            for sample in judgment.attempt.samples:
                for turn in sample.trainable[-1:]:
                    own = replace(row_of(turn, -1.0), group=len(found), sample=2 * len(found) + 1)
                    given = replace(
                        own, completion=data, logprobs=(), weight=1.0, sample=2 * len(found)
                    )
                    found.append([given, own])
        return found

    def __call__(self, scored: "Scored") -> "Tensor":
        return preference(scored, self._config.beta, 0.0)
