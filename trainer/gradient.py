"""The gradient of a step's loss, made in parts of bounded memory: equal to that of the whole step,
whatever the loss makes of the rows together. Knows no optimiser.

    one part     rows -> log-probabilities -> loss -> gradient
    several      part by part: log-probabilities -> loss -> its slope by each log-probability,
                 then part by part again: log-probabilities, times their slopes -> gradient

Of rows with the same tokens, as the samples of a group that say the same, one is read for all; rows
that begin alike may be read as trees (see `prefixes`).
"""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from math import isfinite
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers.modeling_layers import GradientCheckpointingLayer

from trainer.config import LearnerConfig
from trainer.forward import Forward, Padded, Scored, reads_trees
from trainer.prefixes import parts_of_trees
from trainer.rows import Row

_KEPT_BYTES = 1 << 30
"""About so much is kept for the gradient of one part, on a GPU eight times as much, where no size
of parts is given."""

_FLOAT = 4


class Gradient:
    """Gradients of one model, computed as `config` says: in parts of at most so many tokens, pads
    included, where a longer row is a part of its own. Without a number it follows from the model
    and where it lies. Tokens of `unknown` are never drawn."""

    def __init__(
        self,
        model: Any,
        config: LearnerConfig = LearnerConfig(),  # noqa: B008 - it is frozen
        unknown: Sequence[int] = (),
    ) -> None:
        self._forward = Forward(model, unknown, config.precision)
        self.device = self._forward.device
        self._trees = config.shared_prefixes and reads_trees(model)
        kept = _KEPT_BYTES * (8 if self.device.type == "cuda" else 1)
        each = self._forward.bytes_per_token
        if config.gradient_checkpointing and (layers := layers_of(model)):
            each = _computed_again(layers, each, model.config.get_text_config().hidden_size)
        self.tokens = config.micro_batch_tokens or max(1, kept // each)

    def add(
        self,
        rows: Sequence[Row],
        loss: Callable[[Scored], Tensor],
        reference: Mapping[str, Tensor] | None = None,
    ) -> float:
        """The loss of `rows`; its gradient is added to that of the model, unless the loss is not
        finite. `reference` are the weights that it compares with."""
        with _tensor_cores(self.device):
            return self._add(rows, loss, reference)

    def _add(
        self,
        rows: Sequence[Row],
        loss: Callable[[Scored], Tensor],
        reference: Mapping[str, Tensor] | None,
    ) -> float:
        padded = Padded.of(rows, self.device)
        read, places = distinct(rows)
        places_B = torch.tensor(places, device=self.device)
        parts = (parts_of_trees if self._trees else parts_of)(read, self.tokens)
        padded_read = Padded.of(read, self.device, trees=self._trees and len(parts) == 1)
        compared_BT = None
        if reference is not None:
            compared_BT = self._logprobs(read, parts, padded_read, reference)[places_B]
        if len(parts) == 1:
            said_RT = self._forward.logprobs(padded_read)
        else:
            said_RT = self._logprobs(read, parts, padded_read).requires_grad_()
        total = loss(padded.scored(said_RT[places_B], compared_BT))
        value = float(total.detach())
        if not isfinite(value):
            return value
        total.backward()  # type: ignore[no-untyped-call]
        if len(parts) > 1 and said_RT.grad is not None:
            self._pull(read, parts, said_RT.grad)
        return value

    @torch.no_grad()
    def _logprobs(
        self,
        rows: Sequence[Row],
        parts: Sequence[Sequence[int]],
        padded: Padded,
        weights: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        """[B, T - 1], part by part."""
        if len(parts) == 1:
            return self._forward.logprobs(padded, weights)
        whole_BT = torch.zeros_like(padded.mask_BT)
        for part in parts:
            part_BT = self._forward.logprobs(self._padded(rows, part), weights)
            whole_BT[_places(part, part_BT)] = part_BT
        return whole_BT

    def _pull(self, rows: Sequence[Row], parts: Sequence[Sequence[int]], slopes_BT: Tensor) -> None:
        """Carry the slopes of the loss on to the weights."""
        for part in parts:
            part_BT = self._forward.logprobs(self._padded(rows, part))
            part_BT.backward(slopes_BT[_places(part, part_BT)])  # type: ignore[no-untyped-call]

    def _padded(self, rows: Sequence[Row], part: Sequence[int]) -> Padded:
        return Padded.of([rows[index] for index in part], self.device, trees=self._trees)


def distinct(rows: Sequence[Row]) -> tuple[list[Row], list[int]]:
    """One row of each that are read alike, and for every row the place of its like among them."""
    places: dict[Hashable, int] = {}
    read: list[Row] = []
    for row in rows:
        key = (row.prompt, row.completion, row.temperature)
        if places.setdefault(key, len(read)) == len(read):
            read.append(row)
    return read, [places[row.prompt, row.completion, row.temperature] for row in rows]


def parts_of(rows: Sequence[Row], tokens: int) -> list[list[int]]:
    """Places of rows: parts of rows of about the same length, of at most `tokens` tokens each."""
    parts: list[list[int]] = []
    width = 0
    lengths = [len(row.prompt) + len(row.completion) for row in rows]
    for index in sorted(range(len(rows)), key=lambda index: -lengths[index]):
        if not parts or (len(parts[-1]) + 1) * width > tokens:
            parts.append([])
            width = lengths[index]
        parts[-1].append(index)
    return parts


def layers_of(model: nn.Module) -> list[nn.Module]:
    """The layers that can be computed again for a gradient."""
    return [one for one in model.modules() if isinstance(one, GradientCheckpointingLayer)]


def _computed_again(layers: Sequence[nn.Module], kept: int, hidden: int) -> int:
    """From now on layers keep what they are given alone; the bytes that a token keeps then, of
    `kept` before. transformers does so only for models that train, with their dropout."""
    for layer in layers:
        if not isinstance(layer.forward, partial):
            layer.forward = partial(_again, layer.forward)
    return kept // len(layers) + hidden * _FLOAT * len(layers)


def _again(forward: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    if not torch.is_grad_enabled():
        return forward(*args, **kwargs)
    return checkpoint(forward, *args, use_reentrant=False, preserve_rng_state=False, **kwargs)


@contextmanager
def _tensor_cores(device: torch.device) -> Iterator[None]:
    """On a GPU, products of 32 bits by tensor cores. Only here: what is published is probed, and
    served, without them."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if device.type == "cuda" else before)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _places(part: Sequence[int], part_BT: Tensor) -> tuple[Tensor, slice]:
    """Where the rows of a part lie in the whole."""
    return torch.tensor(part, device=part_BT.device), slice(part_BT.shape[1])
