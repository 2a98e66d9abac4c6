"""How a token is drawn: one uniform number per row and step, fixed before the first step, so
that a request's seed fixes its samples whatever batch it lands in. Knows no model.

Shapes: R rows, N new tokens, V vocabulary.
"""

from collections.abc import Sequence
from typing import Any

import torch

from agents.engines.engine import Request


class Sampling:
    """Draws from softmax(logits / temperature) without the tokens of `unknown_V`, or what `top_k`
    and `top_p` leave of it, by inverting its cumulative sum."""

    def __init__(
        self,
        requests: Sequence[Request],
        room: int,
        generator: torch.Generator,
        device: torch.device,
        unknown_V: torch.Tensor | None = None,
    ) -> None:
        self._unknown_V = unknown_V
        self._uniforms_RN = _uniforms(requests, room, generator).to(device)
        temperatures = [request.temperature for request in requests for _ in range(request.n)]
        self._greedy_R = torch.tensor([t == 0 for t in temperatures], device=device)
        self._temperature_R = torch.tensor([t or 1.0 for t in temperatures], device=device)
        self._all_greedy = not any(temperatures)
        self._any_greedy = 0 in temperatures
        self._tempered = any(t not in (0, 1) for t in temperatures)
        self._narrowing = Narrowing(requests, device) if _narrow(requests) else None

    def draw(
        self, logits_RV: torch.Tensor, rows: torch.Tensor, step: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens and their log-probabilities (fp32) for the given rows."""
        logits_RV = logits_RV.float()
        if self._unknown_V is not None:
            logits_RV = logits_RV.masked_fill(self._unknown_V, -torch.inf)
        if self._tempered:
            logits_RV = logits_RV / self._temperature_R[rows, None]
        if self._narrowing is not None:
            logits_RV = self._narrowing.left(logits_RV, rows)
        logprobs_RV = torch.log_softmax(logits_RV, dim=-1)
        if self._all_greedy:
            tokens_R = logprobs_RV.argmax(-1)
        else:
            # fp64, or the sum over a large vocabulary would drift from 1.
            cumulative_RV = logprobs_RV.exp().cumsum(-1, dtype=torch.float64)
            targets_R1 = (self._uniforms_RN[rows, step] * cumulative_RV[:, -1])[:, None]
            tokens_R = torch.searchsorted(cumulative_RV, targets_R1, right=True)[:, 0]
            tokens_R = tokens_R.clamp_max(logits_RV.shape[1] - 1)
            if self._any_greedy:
                tokens_R = torch.where(self._greedy_R[rows], logprobs_RV.argmax(-1), tokens_R)
        return tokens_R, logprobs_RV.gather(1, tokens_R[:, None])[:, 0]


class Narrowing:
    """Which tokens are left to draw from: the `top_k` likeliest, of these the fewest that make up
    `top_p`. Of equally likely ones those with the lower ids."""

    def __init__(self, requests: Sequence[Request], device: torch.device) -> None:
        rows = [request for request in requests for _ in range(request.n)]
        # A greedy row's log-probabilities are those of the whole vocabulary.
        shares = [each.top_p if each.narrowed and each.top_p < 1 else torch.inf for each in rows]
        counts = [each.top_k if each.narrowed and each.top_k else 2**62 for each in rows]
        self._share_R = torch.tensor(shares, device=device, dtype=torch.float64)
        self._count_R = torch.tensor(counts, device=device)

    def left(self, logits_RV: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """The logits, -inf where a token is not left."""
        ordered_RV, order_RV = logits_RV.sort(dim=-1, descending=True, stable=True)
        places_V = torch.arange(logits_RV.shape[1], device=logits_RV.device)
        left_RV = places_V < self._count_R[rows, None]
        shares_RV = torch.softmax(ordered_RV.masked_fill(~left_RV, -torch.inf).double(), dim=-1)
        # The likeliest is always left: nothing comes before it.
        left_RV &= shares_RV.cumsum(-1) - shares_RV < self._share_R[rows, None]
        kept_RV = torch.zeros_like(left_RV).scatter(1, order_RV, left_RV)
        return logits_RV.masked_fill(~kept_RV, -torch.inf)


def _narrow(requests: Sequence[Request]) -> bool:
    return any(request.narrowed for request in requests)


def _uniforms(requests: Sequence[Request], room: int, shared: torch.Generator) -> torch.Tensor:
    num_rows = sum(request.n for request in requests)
    # Drawn on the CPU, so that a seed fixes the same samples on every device.
    made: Any = {"dtype": torch.float64, "device": "cpu"}
    uniforms_RN = torch.rand(num_rows, room, generator=shared, **made)
    row = 0
    for request in requests:
        if request.seed is not None:
            own = torch.Generator("cpu").manual_seed(request.seed % 2**63)
            uniforms_RN[row : row + request.n, : request.max_tokens] = torch.rand(
                request.n, request.max_tokens, generator=own, **made
            )
        row += request.n
    return uniforms_RN
