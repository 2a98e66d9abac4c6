"""The log-probabilities of rows under a model, on the model's device. Knows no loss.

Shape legend: B rows, T positions, N completion tokens of all rows, H hidden size, V vocabulary.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.func import functional_call

from trainer.config import Precision
from trainer.next_tokens import NextTokens
from trainer.prefixes import Trees
from trainer.rows import Row

_TOLERANCE = 1e-4


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
    `behaviour_BT` belong to the tokens after the first. With `trees` those are read instead."""

    tokens_BT: Tensor
    mask_BT: Tensor
    behaviour_BT: Tensor
    weights_B: Tensor
    temperature_B: Tensor
    groups_B: Tensor
    samples_B: Tensor
    trees: Trees | None = None

    @classmethod
    def of(cls, rows: Sequence[Row], device: torch.device, *, trees: bool = False) -> Self:
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
            trees=Trees.of(rows, device) if trees else None,
        )

    def asked(self) -> dict[str, Tensor]:
        """What a model reads."""
        if self.trees is None:
            return {"input_ids": self.tokens_BT[:, :-1]}
        return {
            "input_ids": self.trees.tokens_UT,
            "attention_mask": self.trees.seen_U1TT,
            "position_ids": self.trees.depths_UT,
        }

    def before_N(self) -> Tensor:
        """Where in that lies what comes before each completion token, row by row."""
        if self.trees is None:
            return self.mask_BT.flatten().nonzero()[:, 0]
        return self.trees.before_N

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

    def __init__(
        self, model: Any, unknown: Sequence[int] = (), precision: Precision = "fp32"
    ) -> None:
        self._next = NextTokens(model, unknown, precision)
        self.device = next(model.parameters()).device
        self._frozen = _frozen_in_bf16(self._next) if precision == "bf16" else {}

    def logprobs(self, padded: Padded, weights: Mapping[str, Tensor] | None = None) -> Tensor:
        """[B, T - 1]: of every completion token, 0 elsewhere.

        `weights` stand in for those of the model with the same names, which stay as they are; the
        module itself is not copied.
        """
        chosen_BT = padded.mask_BT.bool()
        targets_N = padded.tokens_BT[:, 1:][chosen_BT]
        temperature_N = padded.temperature_B[:, None].expand_as(chosen_BT)[chosen_BT]
        asked = (padded.asked(), padded.before_N(), targets_N, temperature_N)
        named = {f"model.{name}": value for name, value in (weights or {}).items()}
        if named := self._frozen | named:
            logprobs_N = functional_call(self._next, named, asked)
        else:
            logprobs_N = self._next(*asked)
        return torch.zeros_like(padded.mask_BT).masked_scatter(chosen_BT, logprobs_N)

    @property
    def bytes_per_token(self) -> int:
        """What one token keeps in memory for the gradient, apart from its logits."""
        return self._next.bytes_per_token

    @property
    def has_windows(self) -> bool:
        """Whether attention may look back over so many places only."""
        return self._next.has_windows


def _frozen_in_bf16(model: NextTokens) -> dict[str, Tensor]:
    """Matrices that never move, by name, so that not every pass casts them: those of layers."""
    head = model.model.get_output_embeddings()
    return {
        f"{name}.weight": module.weight.detach().bfloat16()
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and module is not head and not module.weight.requires_grad
    }


@torch.no_grad()
def reads_trees(model: Any) -> bool:
    """Whether a model says the same of rows that are read as trees: of a kind that takes masks and
    positions, and whose attention has no window. Looked at in 32 bits."""
    forward = Forward(model)
    if forward.has_windows:
        return False
    ends = ((4, 5), (4, 6, 7), (8, 9, 10, 11))
    rows = [Row(prompt=(1, 2, 3, *end[:1]), completion=end[1:]) for end in ends]
    try:
        plain, shared = (
            forward.logprobs(Padded.of(rows, forward.device, trees=trees))
            for trees in (False, True)
        )
    except Exception:  # whatever a model of another build makes of it
        return False
    return torch.allclose(plain, shared, rtol=_TOLERANCE, atol=_TOLERANCE)


def score(model: Any, rows: Sequence[Row], weights: Mapping[str, Tensor] | None = None) -> Scored:
    """One forward pass over `rows`, by `weights` where they are given."""
    forward = Forward(model)
    padded = Padded.of(rows, forward.device)
    return padded.scored(forward.logprobs(padded, weights))
