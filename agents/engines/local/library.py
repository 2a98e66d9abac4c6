"""Any kind of model as transformers computes it: rows padded on the left, each with keys and values
of its own. Knows no sampling.

Shapes: R rows, B texts, T positions, N new tokens, V vocabulary.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache

from agents.engines.local.cache import reserve, select
from agents.engines.local.kinds import Way, takes


class Library:
    """One version, asked in one way; see `Model`."""

    def __init__(self, model: Any, way: Way) -> None:
        self.model = model
        self.takes = takes(model)
        self.way = way
        self.own_masks = way == "rows"

    @property
    def device(self) -> torch.device:
        device: torch.device = self.model.device
        return device

    @property
    def num_bytes_per_token(self) -> int:
        config = self.model.config
        heads = getattr(config, "num_attention_heads", None) or 1
        head_dim = getattr(config, "head_dim", None) or config.hidden_size // heads
        heads = getattr(config, "num_key_value_heads", None) or heads
        size = self.model.dtype.itemsize
        return int(2 * config.num_hidden_layers * heads * head_dim * size)

    @torch.inference_mode()
    def logits(self, ids_BT: Tensor) -> Tensor:
        """See `Model`."""
        logits_BTV: Tensor = self.model(input_ids=ids_BT, use_cache=False).logits
        return logits_BTV

    @torch.inference_mode()
    def open(
        self,
        prompts: Sequence[tuple[int, ...]],
        prompt_of_row: Tensor,
        so_far_RN: Tensor,
        room: int,
    ) -> "LibraryRows":
        """See `Model`."""
        return LibraryRows(self, prompts, prompt_of_row, so_far_RN, room)


class LibraryRows:
    """See `Rows`."""

    def __init__(
        self,
        library: Library,
        prompts: Sequence[tuple[int, ...]],
        prompt_of_row: Tensor,
        so_far_RN: Tensor,
        room: int,
    ) -> None:
        self._library = library
        self._device = library.device
        width = max(map(len, prompts))
        self._capacity = width + room
        padded = [[0] * (width - len(prompt)) + list(prompt) for prompt in prompts]
        ids_BT = torch.tensor(padded, device=self._device)
        padding_B = torch.tensor([width - len(prompt) for prompt in prompts], device=self._device)
        self._ragged = bool(padding_B.any())
        self._padding_R = padding_B[prompt_of_row]
        self.order_R = torch.arange(len(prompt_of_row), device=self._device)
        self._length = width + so_far_RN.shape[1]
        if so_far_RN.shape[1]:
            ids_RT = torch.cat([ids_BT[prompt_of_row], so_far_RN], dim=1)
            self._cache, self.logits_RV = self._read(ids_RT, self._padding_R)
        else:
            cache, logits_BV = self._read(ids_BT, padding_B)
            self._cache = select(cache, prompt_of_row, self._capacity)
            self.logits_RV = logits_BV[prompt_of_row]

    def _read(self, ids_BT: Tensor, padding_B: Tensor) -> tuple[Cache, Tensor]:
        """Keys, values and last logits of whole sequences, padded on the left."""
        cache = reserve(self._library.model.config.num_hidden_layers, self._capacity)
        steps = torch.arange(ids_BT.shape[1], device=self._device)
        mask, positions = None, steps[None]
        if self._ragged or not self._library.own_masks:
            valid = steps >= padding_B[:, None]
            causal = steps[:, None] >= steps
            # A padded position sees itself, or its softmax would have nothing to sum over.
            mask = (causal & valid[:, None, :] | (steps[:, None] == steps))[:, None]
            mask = mask if self._library.own_masks else valid.long()
            positions = (steps - padding_B[:, None]).clamp_min(0)
        return cache, self._asked(ids_BT, mask, positions, cache)

    def _asked(self, ids: Tensor, mask: Tensor | None, positions: Tensor, cache: Cache) -> Tensor:
        """The logits after the last of `ids`; of masks and positions what the kind can be given."""
        given = {"attention_mask": mask, "position_ids": positions, "logits_to_keep": 1}
        taken = {name: value for name, value in given.items() if name in self._library.takes}
        read = self._library.model(input_ids=ids, past_key_values=cache, use_cache=True, **taken)
        logits: Tensor = read.logits[:, -1]
        return logits

    @torch.inference_mode()
    def step(self, tokens_R: Tensor) -> None:
        self._length += 1
        last = self._length - 1
        mask, positions = None, torch.full((1, 1), last, device=self._device)
        if self._ragged or not self._library.own_masks:
            steps = torch.arange(self._length, device=self._device)
            valid = steps >= self._padding_R[:, None]
            mask = valid[:, None, None] if self._library.own_masks else valid.long()
            positions = (last - self._padding_R)[:, None]
        self.logits_RV = self._asked(tokens_R[:, None], mask, positions, self._cache)

    @torch.inference_mode()
    def keep(self, rows: Tensor) -> None:
        self._cache = select(self._cache, rows, self._capacity)
        self._padding_R = self._padding_R[rows]
        self.order_R = rows
