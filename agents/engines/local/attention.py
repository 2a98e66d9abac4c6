"""Attention of one new token per row: products and sums over the whole batch at once.

PyTorch's fused attention works row by row and head by head; for a step of a small model on a
CPU, thousands of problems of a few numbers each, that costs twice as much. Everything else
(prompts, masks, grouped heads, long contexts, GPUs) goes to the fused one.

Shapes: [rows, heads, positions, head_dim]; the result [rows, positions, heads, head_dim].
"""

from typing import Any

from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "evolvent_rows"
_MAX_HEAD_ELEMENTS = 4096
"""Beyond so many positions x head_dim the fused attention reads memory better."""


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    **options: Any,
) -> tuple[Tensor, Tensor | None]:
    """An attention function as transformers calls it."""
    one_step = query.shape[2] == 1 and query.shape[1] == key.shape[1]
    small = key.shape[2] * key.shape[3] <= _MAX_HEAD_ELEMENTS and query.device.type == "cpu"
    if not (one_step and small and attention_mask is None):
        result: tuple[Tensor, Tensor | None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **options
        )
        return result
    scale = key.shape[-1] ** -0.5 if scaling is None else scaling
    scores_RHT = ((query * scale) @ key.mT)[:, :, 0]
    # Not torch.softmax: for fewer than 16 positions it is slower than all the rest.
    weights_RHT = (scores_RHT - scores_RHT.amax(-1, keepdim=True)).exp()
    total_RH1 = weights_RHT.sum(-1, keepdim=True)
    return ((weights_RHT[..., None] * value).sum(2) / total_RH1)[:, None], None


def register() -> str:
    """Make `attend` known to transformers; the name to build a model with."""
    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    return NAME
