"""Group-relative policy optimisation: the clipped policy gradient against the group's mean.

GRPO (Shao et al. 2024, arXiv 2402.03300, eq. 3 and 4), with the asymmetric clip of DAPO (Yu et al.
2025, arXiv 2503.14476). Groups that are all right or all wrong teach nothing.
"""

from collections.abc import Iterator
from random import Random
from statistics import fmean, pstdev
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from trainer.batch import Batch
from trainer.parts import Parts
from trainer.rows import Row, sampled_row
from trainer.updates.update import Reference

if TYPE_CHECKING:
    from torch import Tensor

    from trainer.forward import Scored
    from trainer.replay import Replay


class GrpoConfig(BaseModel):
    """`clip_low` and `clip_high` bound the ratio to the behaviour policy to
    [1 - clip_low, 1 + clip_high]; `steps` optimiser steps share the batch's groups. `kl` is the
    weight of the divergence from `reference`: the version before, or version 0 ("first")."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    takes_ratios: ClassVar[bool] = True

    type: Literal["grpo"] = "grpo"
    steps: int = Field(default=1, gt=0)
    clip_low: float = Field(default=0.2, gt=0)
    clip_high: float = Field(default=0.28, gt=0)
    kl: float = Field(default=0.0, ge=0)
    reference: Reference = "first"

    def build(self, parts: Parts) -> "Grpo":
        return Grpo(self)


class Grpo:
    """Advantage of a sample: its reward less the group's mean, over the group's deviation."""

    def __init__(self, config: GrpoConfig) -> None:
        self._config = config

    @property
    def reference(self) -> Reference | None:
        return self._config.reference if self._config.kl else None

    def steps(self, batch: Batch, replay: "Replay", random: Random) -> Iterator[list[Row]]:
        rows = []
        for judgment in batch.judgments:
            rewards = [verdict.reward for verdict in judgment.verdicts]
            deviation = pstdev(rewards)
            if deviation == 0:
                continue
            mean = fmean(rewards)
            for sample, reward in zip(judgment.attempt.samples, rewards, strict=True):
                advantage = (reward - mean) / (deviation + 1e-4)
                rows += [
                    sampled_row(judgment.attempt, turn, advantage) for turn in sample.trainable
                ]
        random.shuffle(rows)
        for step in range(self._config.steps):
            if share := rows[step :: self._config.steps]:
                yield share

    def __call__(self, scored: "Scored") -> "Tensor":
        ratio_BT = (scored.logprobs_BT - scored.behaviour_BT).exp()
        clipped_BT = ratio_BT.clamp(1 - self._config.clip_low, 1 + self._config.clip_high)
        advantage_B1 = scored.weights_B[:, None]
        gain_BT = (ratio_BT * advantage_B1).minimum(clipped_BT * advantage_B1)
        if scored.reference_BT is not None:
            # The estimator of Schulman (2020): unbiased, never negative.
            above_BT = scored.reference_BT - scored.logprobs_BT
            gain_BT = gain_BT - self._config.kl * (above_BT.exp() - above_BT - 1)
        return -(gain_BT * scored.mask_BT).sum() / scored.mask_BT.sum()
