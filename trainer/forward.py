"""The log-probabilities of rows under a model. Knows no loss.

Shape legend: B rows, T positions, V vocabulary.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call

from trainer.rows import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """Log-probabilities of completion tokens: under the model, under the weights that sampled them,
    and under a reference where one is wanted. `mask_BT` is 1 on them and 0 elsewhere."""

    logprobs_BT: Tensor
    behaviour_BT: Tensor
    weights_B: Tensor
    mask_BT: Tensor
    reference_BT: Tensor | None = None


def score(model: Any, rows: Sequence[Row], weights: Mapping[str, Tensor] | None = None) -> Scored:
    """One forward pass over `rows`, padded on the right: causal attention never sees the pads.

    `weights` stand in for those of the model with the same names, which stay as they are; the
    module itself is not copied.
    """
    length = max(len(row.prompt) + len(row.completion) for row in rows)
    tokens_BT = torch.zeros(len(rows), length, dtype=torch.long)
    mask_BT = torch.zeros(len(rows), length - 1)
    behaviour_BT = torch.zeros(len(rows), length - 1)
    for index, row in enumerate(rows):
        start, end = len(row.prompt), len(row.prompt) + len(row.completion)
        tokens_BT[index, :end] = torch.tensor(row.prompt + row.completion)
        mask_BT[index, start - 1 : end - 1] = 1
        if row.logprobs:
            behaviour_BT[index, start - 1 : end - 1] = torch.tensor(row.logprobs)
    asked = {"input_ids": tokens_BT[:, :-1], "use_cache": False}
    if weights is None:
        logits_BTV = model(**asked).logits
    else:
        logits_BTV = functional_call(model, dict(weights), kwargs=asked).logits
    nll_BT = F.cross_entropy(logits_BTV.flatten(0, 1), tokens_BT[:, 1:].flatten(), reduction="none")
    return Scored(
        logprobs_BT=-nll_BT.view_as(mask_BT),
        behaviour_BT=behaviour_BT,
        weights_B=torch.tensor([row.weight for row in rows]),
        mask_BT=mask_BT,
    )
