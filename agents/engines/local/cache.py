"""Keys and values of the rows in flight, in place. Knows no sampling and no request.

Each layer writes into memory reserved for prompt and answer, so that a decode step copies one
position per row instead of growing every row. Shapes: [rows, heads, positions, head_dim].
"""

from typing import Any

import torch
from transformers.cache_utils import Cache, CacheLayerMixin


class ReservedLayer(CacheLayerMixin):  # type: ignore[misc]
    """One layer with room for `capacity` positions."""

    is_sliding = False

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self.capacity = capacity
        self.length = 0

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        rows, heads, _, head_dim = key_states.shape
        self.keys = key_states.new_empty(rows, heads, self.capacity, head_dim)
        self.values = value_states.new_empty(rows, heads, self.capacity, value_states.shape[-1])
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        end = self.length + key_states.shape[2]
        self.keys[:, :, self.length : end] = key_states
        self.values[:, :, self.length : end] = value_states
        self.length = end
        return self.keys[:, :, :end], self.values[:, :, :end]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.length + query_length, 0

    def get_seq_length(self) -> int:
        return self.length

    def get_max_length(self) -> int:
        return self.capacity

    def select(self, rows: torch.Tensor, repeats: int, capacity: int) -> "ReservedLayer":
        """See `select`; `repeats` is 0 where the rows are not each row repeated in order."""
        chosen = ReservedLayer(capacity)
        chosen.length = self.length
        chosen.keys = _gather(self.keys, rows, repeats, self.length, capacity)
        chosen.values = _gather(self.values, rows, repeats, self.length, capacity)
        chosen.is_initialized = True
        return chosen


def reserve(num_layers: int, capacity: int) -> Cache:
    """An empty cache; the number of rows follows from the first forward pass."""
    return Cache(layers=[ReservedLayer(capacity) for _ in range(num_layers)])


def select(cache: Cache, rows: torch.Tensor, capacity: int) -> Cache:
    """The given rows of a cache (repeats allowed), with room for `capacity` positions."""
    num_rows = cache.layers[0].keys.shape[0]
    repeats = len(rows) // num_rows
    in_order = torch.arange(num_rows, device=rows.device).repeat_interleave(repeats)
    if not torch.equal(rows, in_order):
        repeats = 0
    return Cache(layers=[layer.select(rows, repeats, capacity) for layer in cache.layers])


def _gather(
    old: torch.Tensor, rows: torch.Tensor, repeats: int, length: int, capacity: int
) -> torch.Tensor:
    num_rows, heads, _, head_dim = old.shape
    new = old.new_empty(len(rows), heads, capacity, head_dim)
    if repeats:  # one copy instead of two
        grouped = new.view(num_rows, repeats, heads, capacity, head_dim)
        grouped[:, :, :, :length] = old[:, None, :, :length]
    else:
        new[:, :, :length] = old[:, :, :length].index_select(0, rows)
    return new
