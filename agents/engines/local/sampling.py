"""How a token is drawn: one uniform number per row and step, fixed before the first step, so
that a request's seed fixes its samples whatever batch it lands in. Knows no model.

Shapes: R rows, N new tokens, V vocabulary.
"""

from collections.abc import Sequence
from typing import Any

import torch

from agents.engines.engine import Request

_LARGE, _STRETCH = 2048, 256
_LIKELIEST, _ALL = 256, 2**62
"""Among so many likeliest tokens is usually all that is left."""


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
        # Below 1 by so much that no product with a sum reaches that sum.
        uniforms_RN = _uniforms(requests, room, generator).clamp_max_(1 - 2**-52)
        self._uniforms_RN = self._of_rows_RN = uniforms_RN.to(device)
        self._rows: torch.Tensor | None = None
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
        if rows is not self._rows:
            self._rows, self._of_rows_RN = rows, self._uniforms_RN[rows]
        logits_RV = logits_RV.float()
        if self._unknown_V is not None:
            logits_RV = logits_RV.masked_fill(self._unknown_V, -torch.inf)
        if self._tempered:
            logits_RV = logits_RV / self._temperature_R[rows, None]
        if self._narrowing is not None:
            logits_RV = self._narrowing.left(logits_RV, rows)
        shares_RV = torch.softmax(logits_RV, dim=-1)
        if self._all_greedy:
            tokens_R = logits_RV.argmax(-1)
        else:
            tokens_R = drawn(shares_RV, self._of_rows_RN[:, step])
            if self._any_greedy:
                tokens_R = torch.where(self._greedy_R[rows], logits_RV.argmax(-1), tokens_R)
        return tokens_R, shares_RV.gather(1, tokens_R[:, None])[:, 0].log()


def drawn(shares_RV: torch.Tensor, uniforms_R: torch.Tensor) -> torch.Tensor:
    """Of each row the token in whose part of the whole a number of [0, 1 - 2**-52] falls, never one
    without a share. In a large vocabulary first the stretch is found, then the token."""
    num_rows, vocab = shares_RV.shape
    if vocab < _LARGE:
        return _found(*_targets(shares_RV, uniforms_R))[:, 0]
    if short := -vocab % _STRETCH:
        shares_RV = torch.nn.functional.pad(shares_RV, (0, short))
    stretches_RSW = shares_RV.view(num_rows, -1, _STRETCH)
    sums_RS = stretches_RSW.sum(-1, dtype=torch.float64)
    cumulative_RS, targets_R1 = _targets(sums_RS, uniforms_R)
    stretch_R1 = _found(cumulative_RS, targets_R1)
    sum_R1 = sums_RS.gather(1, stretch_R1)
    along_R1 = (targets_R1 - cumulative_RS.gather(1, stretch_R1) + sum_R1) / sum_R1
    along_R = along_R1[:, 0].clamp(0, 1 - 2**-52)
    index_R1W = stretch_R1[..., None].expand(-1, -1, _STRETCH)
    stretch_RW = stretches_RSW.gather(1, index_R1W)[:, 0]
    return (stretch_R1 * _STRETCH + _found(*_targets(stretch_RW, along_R)))[:, 0]


def _targets(parts_RV: torch.Tensor, uniforms_R: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """How far the parts reach, one after another, and how far to go."""
    # fp64, or the sum over a large vocabulary would drift from 1.
    cumulative_RV = parts_RV.cumsum(-1, dtype=torch.float64)
    return cumulative_RV, uniforms_R[:, None] * cumulative_RV[:, -1:]


def _found(cumulative_RV: torch.Tensor, targets_R1: torch.Tensor) -> torch.Tensor:
    return torch.searchsorted(cumulative_RV, targets_R1, right=True)


class Narrowing:
    """Which tokens are left to draw from: the `top_k` likeliest, of these the fewest that make up
    `top_p`. Of equally likely ones those with the lower ids."""

    def __init__(self, requests: Sequence[Request], device: torch.device) -> None:
        rows = [request for request in requests for _ in range(request.n)]
        # A greedy row's log-probabilities are those of the whole vocabulary.
        shares = [each.top_p if each.narrowed and each.top_p < 1 else torch.inf for each in rows]
        counts = [each.top_k if each.narrowed and each.top_k else _ALL for each in rows]
        self._share_R = torch.tensor(shares, device=device, dtype=torch.float64)
        self._count_R = torch.tensor(counts, device=device)
        self._likeliest = max([_LIKELIEST, *(count for count in counts if count < _ALL)])

    def left(self, logits_RV: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """The logits, -inf where a token is not left."""
        vocab = logits_RV.shape[1]
        share_R, count_R = self._share_R[rows], self._count_R[rows].clamp_max(vocab)
        bounded_R = (share_R < torch.inf) | (count_R < vocab)
        whole_R = logits_RV.logsumexp(-1)
        width = min(vocab, self._likeliest)
        # Sorting all of a large vocabulary would take longer than all the rest.
        while True:
            ordered_RW = logits_RV.topk(width, dim=-1).values
            left_RW = _left(ordered_RW, whole_R, share_R, count_R)
            if width == vocab or bool((left_RW[:, -1] & bounded_R & (count_R > width)).sum() == 0):
                break
            width = min(vocab, 8 * width)
        left_R = left_RW.sum(-1)
        least_R1 = ordered_RW.gather(1, left_R[:, None] - 1)
        kept_RV, alike_RV = logits_RV > least_R1, logits_RV == least_R1
        left_of_alike_R1 = (left_R - kept_RV.sum(-1))[:, None]
        kept_RV |= alike_RV & (alike_RV.cumsum(-1) <= left_of_alike_R1)
        return logits_RV.masked_fill(~kept_RV & bounded_R[:, None], -torch.inf)


def _left(
    ordered_RW: torch.Tensor, whole_R: torch.Tensor, share_R: torch.Tensor, count_R: torch.Tensor
) -> torch.Tensor:
    """Which of a row's likeliest are left, the likeliest first; `whole_R` is the logarithm of all
    that there is."""
    width = ordered_RW.shape[1]
    left_RW = torch.arange(width, device=ordered_RW.device) < count_R[:, None]
    counted_R = ordered_RW.masked_fill(~left_RW, -torch.inf).logsumexp(-1)
    whole_R = torch.where(count_R <= width, counted_R, whole_R)
    shares_RW = (ordered_RW - whole_R[:, None]).double().exp() * left_RW
    # The likeliest is always left: nothing comes before it.
    return left_RW & (shares_RW.cumsum(-1) - shares_RW < share_R[:, None])


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
