"""Several tokens of every text at once: what a prompt takes to read, and what rows have drawn when
they go on under other weights. Knows no row.

Shapes: L layers, B texts, M tokens that are no padding, T positions, C of what was read before and
now, H heads, K of keys and values, D of a head, X hidden.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from agents.engines.local.stack import Stack


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """Token ids, padded on the right to one length where `lengths_B` are theirs; `starts_B` are the
    positions of their first tokens."""

    ids_BT: Tensor
    lengths_B: Tensor | None
    starts_B: Tensor

    @staticmethod
    def of(ids_BT: Tensor, start: int = 0, lengths_B: Tensor | None = None) -> "Texts":
        """Texts that all start at one position."""
        starts_B = torch.full((len(ids_BT),), start, device=ids_BT.device)
        return Texts(ids_BT=ids_BT, lengths_B=lengths_B, starts_B=starts_B)


class Reading:
    """Reads texts into keys and values [L, B, K, C, D], of which the first were read before: all
    of those, or as many as `before_B` says."""

    def __init__(
        self, texts: Texts, keys: Tensor, values: Tensor, before_B: Tensor | None = None
    ) -> None:
        self._texts = texts
        self._keys, self._values = keys, values
        length, width = texts.ids_BT.shape[1], keys.shape[3]
        device = keys.device
        steps_T = torch.arange(length, device=device)
        self._positions_BT = texts.starts_B[:, None] + steps_T
        self._valid = None
        if texts.lengths_B is not None:
            self._valid = (steps_T < texts.lengths_B[:, None]).view(-1).nonzero()[:, 0]
        self._begin = width - length
        self._mask = None
        if self._begin:
            steps_C = torch.arange(width, device=device)
            self._mask = (steps_C <= steps_T[:, None] + self._begin)[None, None]
            if before_B is not None:
                seen_BC = (steps_C < before_B[:, None]) | (steps_C >= self._begin)
                self._mask = self._mask & seen_BC[:, None, None]

    def ended(self, stack: Stack, *, last_only: bool) -> Tensor:
        """What the layers end with: [B, X] for the last token of every text, or [B * T, X]."""
        count, length = self._texts.ids_BT.shape
        ids_M, positions_M = self._packed(self._texts.ids_BT), self._packed(self._positions_BT)
        last = None
        if last_only:
            lengths_B = self._texts.lengths_B
            if lengths_B is None:
                lengths_B = torch.full((count,), length, device=ids_M.device)
            last = lengths_B.cumsum(0) - 1
        return stack.run(ids_M, positions_M, self._attend, last)

    def _packed(self, x_BT: Tensor) -> Tensor:
        x_M = x_BT.flatten(0, 1)
        return x_M if self._valid is None else x_M[self._valid]

    def _padded(self, x_MHD: Tensor) -> Tensor:
        """[B, H, T, D]"""
        count, length = self._texts.ids_BT.shape
        if self._valid is not None:
            x = x_MHD.new_zeros(count * length, *x_MHD.shape[1:])
            x_MHD = x.index_copy_(0, self._valid, x_MHD)
        return x_MHD.view(count, length, *x_MHD.shape[1:]).transpose(1, 2)

    def _attend(self, layer: int, q_MHD: Tensor, k_MKD: Tensor, v_MKD: Tensor) -> Tensor:
        """See `Attend`."""
        keys_BKCD, values_BKCD = self._keys[layer], self._values[layer]
        keys_BKCD[:, :, self._begin :] = self._padded(k_MKD)
        values_BKCD[:, :, self._begin :] = self._padded(v_MKD)
        mixed_BHTD = scaled_dot_product_attention(
            self._padded(q_MHD),
            keys_BKCD,
            values_BKCD,
            self._mask,
            is_causal=self._mask is None,
            scale=1.0,
            enable_gqa=q_MHD.shape[1] != k_MKD.shape[1],
        )
        return self._packed(mixed_BHTD.transpose(1, 2)).flatten(1)
