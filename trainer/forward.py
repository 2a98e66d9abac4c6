"""The log-probabilities of rows under a model, on the model's device. Knows no loss.

Shape legend: B rows, T positions, N completion tokens of all rows, H hidden size, V vocabulary.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor
from torch.func import functional_call

from trainer.next_tokens import NextTokens
from trainer.rows import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Apart:
    """How far a model is from what sampled the tokens, and from a reference: the mean over tokens
    of r - 1 - log r (Schulman 2020), in nats. None where there is nothing to compare with."""

    behaviour: float | None
    reference: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """Log-probabilities of completion tokens: under the model, under the weights that sampled them,
    and under a reference where one is wanted, each at the temperature of its row. `mask_BT` is 1 on
    them and 0 elsewhere. `groups_B` and `samples_B` say which rows belong together."""

    logprobs_BT: Tensor
    behaviour_BT: Tensor
    weights_B: Tensor
    mask_BT: Tensor
    reference_BT: Tensor | None = None
    groups_B: Tensor | None = None
    samples_B: Tensor | None = None

    @torch.no_grad()
    def apart(self) -> Apart:
        """Of all rows together; of what sampled, over the tokens whose sampler is known."""
        sampled_BT = self.mask_BT * (self.behaviour_BT != 0)
        behaviour = _divergence(self.logprobs_BT - self.behaviour_BT, sampled_BT)
        if self.reference_BT is None:
            return Apart(behaviour=behaviour, reference=None)
        reference = _divergence(self.reference_BT - self.logprobs_BT, self.mask_BT)
        return Apart(behaviour=behaviour, reference=reference)


def _divergence(above_BT: Tensor, mask_BT: Tensor) -> float | None:
    count = float(mask_BT.sum())
    return float(((above_BT.exp() - above_BT - 1) * mask_BT).sum()) / count if count else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Padded:
    """Rows as tensors, padded on the right: causal attention never sees the pads. `mask_BT` and
    `behaviour_BT` belong to the tokens after the first."""

    tokens_BT: Tensor
    mask_BT: Tensor
    behaviour_BT: Tensor
    weights_B: Tensor
    temperature_B: Tensor
    groups_B: Tensor
    samples_B: Tensor

    @classmethod
    def of(cls, rows: Sequence[Row], device: torch.device) -> Self:
        length = max(len(row.prompt) + len(row.completion) for row in rows)
        tokens, mask, behaviour = [], [], []
        for row in rows:
            before, made = len(row.prompt) - 1, len(row.completion)
            after = length - 1 - before - made
            tokens.append((*row.prompt, *row.completion, *[0] * after))
            mask.append([0.0] * before + [1.0] * made + [0.0] * after)
            said = row.logprobs or [0.0] * made
            behaviour.append([0.0] * before + [*said] + [0.0] * after)
        return cls(
            tokens_BT=torch.tensor(tokens, device=device),
            mask_BT=torch.tensor(mask, device=device),
            behaviour_BT=torch.tensor(behaviour, device=device),
            weights_B=torch.tensor([row.weight for row in rows], device=device),
            temperature_B=torch.tensor([row.temperature for row in rows], device=device),
            groups_B=torch.tensor([row.group for row in rows], device=device),
            samples_B=torch.tensor([row.sample for row in rows], device=device),
        )

    def scored(self, logprobs_BT: Tensor, reference_BT: Tensor | None = None) -> Scored:
        return Scored(
            logprobs_BT=logprobs_BT,
            behaviour_BT=self.behaviour_BT,
            weights_B=self.weights_B,
            mask_BT=self.mask_BT,
            reference_BT=reference_BT,
            groups_B=self.groups_B,
            samples_B=self.samples_B,
        )


class Forward:
    """Forward passes of one model, which draws no token of `unknown`."""

    def __init__(self, model: Any, unknown: Sequence[int] = ()) -> None:
        self._next = NextTokens(model, unknown)
        self.device = next(model.parameters()).device

    def logprobs(self, padded: Padded, weights: Mapping[str, Tensor] | None = None) -> Tensor:
        """[B, T - 1]: of every completion token, 0 elsewhere.

        `weights` stand in for those of the model with the same names, which stay as they are; the
        module itself is not copied.
        """
        chosen_BT = padded.mask_BT.bool()
        asked = (padded.tokens_BT, chosen_BT, padded.temperature_B)
        if weights is None:
            logprobs_N = self._next(*asked)
        else:
            named = {f"model.{name}": value for name, value in weights.items()}
            logprobs_N = functional_call(self._next, named, asked)
        return torch.zeros_like(padded.mask_BT).masked_scatter(chosen_BT, logprobs_N)

    @property
    def bytes_per_token(self) -> int:
        """What one token keeps in memory for the gradient, apart from its logits."""
        return self._next.bytes_per_token


def score(model: Any, rows: Sequence[Row], weights: Mapping[str, Tensor] | None = None) -> Scored:
    """One forward pass over `rows`, by `weights` where they are given."""
    forward = Forward(model)
    padded = Padded.of(rows, forward.device)
    return padded.scored(forward.logprobs(padded, weights))
