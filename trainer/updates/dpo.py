"""Direct preference optimisation: of two answers to one task the better is to gain on the worse,
measured against a reference.

DPO (Rafailov et al. 2023, arXiv 2305.18290, eq. 7) on the best and the worst of a judged group, as
in Self-Rewarding (Yuan et al. 2024, arXiv 2401.10020).
"""

from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from trainer.batch import Batch
from trainer.parts import Parts
from trainer.rows import Row
from trainer.updates.nll import WARMUP_ROLES, WARMUP_SOLVED
from trainer.updates.pairs import paired
from trainer.updates.update import Reference

if TYPE_CHECKING:
    from torch import Tensor

    from trainer.forward import Scored
    from trainer.replay import Replay


class DpoConfig(BaseModel):
    """`steps` optimiser steps share the pairs; `beta` holds the model to `reference`: version 0
    ("first") or the one that the new version is made from ("previous"). `nll` is the weight of the
    better answer's likelihood, `smoothing` the share of preferences that are taken to be wrong. To
    each step come `role_rows` of what the warm-up has shown of other roles and `warmup_rows` of its
    tasks, better than nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    type: Literal["dpo"] = "dpo"
    steps: int = Field(default=1, gt=0)
    beta: float = Field(default=0.1, gt=0)
    reference: Reference = "previous"
    nll: float = Field(default=0.0, ge=0)
    smoothing: float = Field(default=0.0, ge=0, lt=0.5)
    role_rows: int = Field(default=0, ge=0)
    warmup_rows: int = Field(default=0, ge=0)

    def build(self, parts: Parts) -> "Dpo":
        return Dpo(self)


class Dpo:
    """-log sigmoid(beta * margin), the mean over pairs; with a share of it for the pair swapped."""

    def __init__(self, config: DpoConfig) -> None:
        self._config = config

    @property
    def reference(self) -> Reference | None:
        return self._config.reference

    def steps(self, batch: Batch, replay: "Replay", random: Random) -> Iterator[list[Row]]:
        for rows in shared(paired(batch.judgments, random), self._config.steps, random):
            yield rows + self._shown(rows, replay, random)

    def _shown(self, rows: list[Row], replay: "Replay", random: Random) -> list[Row]:
        """Examples of the warm-up, each a group and a sample of its own."""
        shown = replay.sample(self._config.role_rows, random, WARMUP_ROLES)
        shown += replay.sample(self._config.warmup_rows, random, WARMUP_SOLVED)
        group, sample = (1 + max(number) for number in zip(*map(_numbers, rows), strict=True))
        return [
            replace(row, group=group + place, sample=sample + place)
            for place, row in enumerate(shown)
        ]

    def __call__(self, scored: "Scored") -> "Tensor":
        loss = preference(scored, self._config.beta, self._config.smoothing)
        if self._config.nll:
            loss = loss + self._config.nll * likelihood(scored)
        return loss


def _numbers(row: Row) -> tuple[int, int]:
    return row.group, row.sample


def shared(groups: list[list[Row]], steps: int, random: Random) -> Iterator[list[Row]]:
    """The groups dealt out to `steps` steps: what is held against each other is never parted."""
    random.shuffle(groups)
    for step in range(steps):
        if rows := [row for group in groups[step::steps] for row in group]:
            yield rows


def preference(scored: "Scored", beta: float, swapped: "float | Tensor") -> "Tensor":
    """The loss of the pairs, of which a share `swapped` counts the other way round (Mitchell 2023:
    conservative DPO). The margin of a pair is what the better answer has gained on the reference,
    less what the worse one has, of all their turns."""
    from torch.nn.functional import softplus

    assert scored.reference_BT is not None and scored.groups_B is not None
    gain_B = ((scored.logprobs_BT - scored.reference_BT) * scored.mask_BT).sum(1)
    margin_G = beta * sums(scored.weights_B * gain_B, scored.groups_B)
    return ((1 - swapped) * softplus(-margin_G) + swapped * softplus(margin_G)).mean()


def likelihood(scored: "Scored") -> "Tensor":
    """Negative log-likelihood per token of the better answers, their mean (Pang et al. 2024, arXiv
    2404.19733, eq. 1)."""
    assert scored.groups_B is not None
    mask_BT = scored.mask_BT * (scored.weights_B > 0)[:, None]
    logprobs_G = sums((scored.logprobs_BT * mask_BT).sum(1), scored.groups_B)
    return -(logprobs_G / sums(mask_BT.sum(1), scored.groups_B)).mean()


def sums(values_B: "Tensor", numbers_B: "Tensor") -> "Tensor":
    """[distinct numbers]: the sum over the rows of each number, in rising order."""
    numbers, place_B = numbers_B.unique(return_inverse=True)  # type: ignore[no-untyped-call]
    return values_B.new_zeros(len(numbers)).index_add(0, place_B, values_B)
