"""Group-relative policy optimisation: the clipped policy gradient against the group's mean.

GRPO (Shao et al. 2024, arXiv 2402.03300, eq. 3 and 4), with the asymmetric clip of DAPO (Yu et al.
2025, arXiv 2503.14476). What a reward is held against, and what a step's sum is divided by, may be
chosen; samples that are held against nothing but their like teach nothing.
"""

from collections.abc import Iterator
from random import Random
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from bus.events import Attempt, Turn
from trainer.batch import Batch
from trainer.parts import Parts
from trainer.rows import Row, proposed_row, sampled_row
from trainer.updates.advantage import advantages, against_running_means, proposer_advantages
from trainer.updates.rewards import WORTHS, ProposerReward
from trainer.updates.update import Reference, divergence

if TYPE_CHECKING:
    from torch import Tensor

    from trainer.forward import Scored
    from trainer.replay import Replay


class GrpoConfig(BaseModel):
    """`clip_low` and `clip_high` bound the ratio to the behaviour policy to
    [1 - clip_low, 1 + clip_high]; `steps` optimiser steps share the batch's groups. `kl` is the
    weight of the divergence from `reference`: the version before, or version 0 ("first").

    `baseline` is what a reward is held against; of "role_ema", the running mean of a seat, a sample
    leaves the share `baseline_decay`. The sum over the tokens of a step is divided by
    their number ("token"), that of each row by its own and all by the number of rows ("sequence"),
    or by the number of rows times `length` ("fixed": Dr. GRPO, arXiv 2503.20783). `entropy` is the
    weight of the policy's entropy. With `engine_cap` the ratio is to the version before, by the
    learner's own reckoning, and its ratio to what the engine said, capped, is a weight.

    With a `proposer_reward` the proposals of the batch are learned from in the same steps: each
    earns by how often it was solved, or by why it was refused, against those of its seat, less
    `repetition` times the share of all of them that is nearly the same."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    takes_ratios: ClassVar[bool] = True

    type: Literal["grpo"] = "grpo"
    steps: int = Field(default=1, gt=0)
    clip_low: float = Field(default=0.2, gt=0)
    clip_high: float = Field(default=0.28, gt=0)
    kl: float = Field(default=0.0, ge=0)
    reference: Reference = "first"
    baseline: Literal["group", "group_mean", "batch", "role", "role_ema"] = "group"
    baseline_decay: float = Field(default=0.95, ge=0, lt=1)
    normalize: Literal["token", "sequence", "fixed"] = "token"
    length: int = Field(default=32, gt=0)
    entropy: float = Field(default=0.0, ge=0)
    engine_cap: float | None = Field(default=None, gt=0)
    proposer_reward: ProposerReward = "none"
    repetition: float = Field(default=0.0, ge=0)

    @model_validator(mode="after")
    def _fits_together(self) -> "GrpoConfig":
        if self.engine_cap is not None and self.kl and self.reference == "first":
            raise ValueError(
                f"engine_cap = {self.engine_cap:g} needs the version before and kl = {self.kl:g} "
                'version 0, and a step compares with one version: set reference = "previous"'
            )
        if self.repetition and self.proposer_reward == "none":
            raise ValueError(
                f"repetition = {self.repetition:g} is taken from what a proposal earns, and "
                "proposer_reward = 'none' pays for none: set it to 0"
            )
        return self

    def build(self, parts: Parts) -> "Grpo":
        return Grpo(self)


class Grpo:
    """The clipped gain of every token, less the divergence, with the entropy."""

    takes_ratios: ClassVar[bool] = True

    def __init__(self, config: GrpoConfig) -> None:
        self._config = config

    @property
    def reference(self) -> Reference | None:
        if self._config.engine_cap is not None:
            return "previous"
        return self._config.reference if self._config.kl else None

    def steps(self, batch: Batch, replay: "Replay", random: Random) -> Iterator[list[Row]]:
        rows = [
            sampled_row(attempt, turn, advantage)
            for attempt, turn, advantage in self._advantages(batch, replay)
        ]
        if self._config.proposer_reward != "none":
            worth = WORTHS[self._config.proposer_reward]
            repetition = self._config.repetition
            proposals = proposer_advantages(batch.judgments, batch.refused, worth, repetition)
            rows += [proposed_row(turn, advantage) for turn, advantage in proposals]
        random.shuffle(rows)
        for step in range(self._config.steps):
            if share := rows[step :: self._config.steps]:
                yield share

    def _advantages(self, batch: Batch, replay: "Replay") -> Iterator[tuple[Attempt, Turn, float]]:
        config = self._config
        if config.baseline == "role_ema":
            return against_running_means(batch.judgments, replay.rates, config.baseline_decay)
        return advantages(batch.judgments, config.baseline)

    def __call__(self, scored: "Scored") -> "Tensor":
        gain_BT = self._gain(scored)
        if self._config.kl and scored.reference_BT is not None:
            gain_BT = gain_BT - self._config.kl * divergence(scored)
        return -self._mean(gain_BT * scored.mask_BT, scored.mask_BT)

    def _gain(self, scored: "Scored") -> "Tensor":
        """[B, T]: what a step gains by each token."""
        config, weight_BT, old_BT = self._config, None, scored.behaviour_BT
        if config.engine_cap is not None:
            # Truncated importance sampling (Yao et al. 2025) around a proximal policy (Hilton et
            # al. 2021, arXiv 2110.00641): the clip is around the learner's own old policy.
            assert scored.reference_BT is not None
            old_BT = scored.reference_BT
            weight_BT = (old_BT - scored.behaviour_BT).exp().clamp(max=config.engine_cap)
        ratio_BT = (scored.logprobs_BT - old_BT).exp()
        clipped_BT = ratio_BT.clamp(1 - config.clip_low, 1 + config.clip_high)
        advantage_B1 = scored.weights_B[:, None]
        gain_BT = (ratio_BT * advantage_B1).minimum(clipped_BT * advantage_B1)
        if config.entropy:
            # One sample of the entropy of each position; its slope is unbiased by the ratio.
            gain_BT = gain_BT - config.entropy * ratio_BT * scored.logprobs_BT.detach()
        return gain_BT if weight_BT is None else gain_BT * weight_BT

    def _mean(self, gain_BT: "Tensor", mask_BT: "Tensor") -> "Tensor":
        if self._config.normalize == "sequence":
            return (gain_BT.sum(1) / mask_BT.sum(1)).mean()
        if self._config.normalize == "fixed":
            return gain_BT.sum() / (len(gain_BT) * self._config.length)
        return gain_BT.sum() / mask_BT.sum()
