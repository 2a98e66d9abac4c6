"""Preferences trusted as far as the model and an earlier one rank alike.

CREAM (Wang et al. 2024, arXiv 2410.12735): C * DPO + (1 - C) * DPO of the swapped pair, where
C = (tau + 1) / 2 is the consistency of two rankings of the same answers, by Kendall's tau.
"""

from collections.abc import Iterator
from random import Random
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from trainer.batch import Batch
from trainer.parts import Parts
from trainer.rows import Row
from trainer.updates.dpo import preference, shared, sums
from trainer.updates.pairs import paired
from trainer.updates.update import Reference

if TYPE_CHECKING:
    from torch import Tensor

    from trainer.forward import Scored
    from trainer.replay import Replay


class CreamConfig(BaseModel):
    """`steps` optimiser steps share the groups; `beta` holds the model to `reference`, whose
    ranking of every group is compared with the model's own."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    type: Literal["cream"] = "cream"
    steps: int = Field(default=1, gt=0)
    beta: float = Field(default=0.1, gt=0)
    reference: Reference = "previous"

    def build(self, parts: Parts) -> "Cream":
        return Cream(self)


class Cream:
    """The judge says which of a group are the pair. Its consistency is one number of a step."""

    def __init__(self, config: CreamConfig) -> None:
        self._config = config

    @property
    def reference(self) -> Reference | None:
        return self._config.reference

    def steps(self, batch: Batch, replay: "Replay", random: Random) -> Iterator[list[Row]]:
        groups = paired(batch.judgments, random, whole=True)
        yield from shared(groups, self._config.steps, random)

    def __call__(self, scored: "Scored") -> "Tensor":
        return preference(scored, self._config.beta, 1 - consistency(scored))


def consistency(scored: "Scored") -> "Tensor":
    """C in [0, 1], a scalar without a gradient: the mean over groups of (tau + 1) / 2.

    Answers are ranked by their log-probability per token, by the model and by the reference: the
    reward of each that is implicit in it, against a policy that says every token alike. A tie
    agrees with nothing (tau-a).
    """
    assert scored.reference_BT is not None
    assert scored.groups_B is not None and scored.samples_B is not None
    samples_B, mask_BT = scored.samples_B, scored.mask_BT
    length_S = sums(mask_BT.sum(1), samples_B)
    ranks = [
        sums((logprobs_BT.detach() * mask_BT).sum(1), samples_B) / length_S
        for logprobs_BT in (scored.logprobs_BT, scored.reference_BT)
    ]
    rows_S = sums(mask_BT.new_ones(len(mask_BT)), samples_B)
    group_S = sums(scored.groups_B.to(mask_BT.dtype), samples_B) / rows_S
    own_SS, other_SS = ((rank_S[:, None] - rank_S[None]).sign() for rank_S in ranks)
    same_SS = (group_S[:, None] == group_S[None]).to(mask_BT.dtype).fill_diagonal_(0)
    agreement_S = (own_SS * other_SS * same_SS).sum(1)
    numbers = group_S.long()
    tau_G = sums(agreement_S, numbers) / sums(same_SS.sum(1), numbers)
    return (tau_G.mean() + 1) / 2
