"""The adapter of a version, merged into the weights it stands on: engines serve plain weights, so
that no request can get another adapter. Knows no model and no peft; accepts nothing but LoRA.

    W + alpha / r * B @ A      in 32 bits, then in the type of W
"""

import math
import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from agents.engines.checkpoint.fitting import read_tensors
from agents.engines.checkpoint.verified import read_json
from agents.engines.engine import SwapRefused

_CONFIG, _TENSORS = "adapter/adapter_config.json", "adapter/adapter_model.safetensors"
ADAPTER = (_CONFIG, _TENSORS)
"""The files of a checkpoint that make it one with an adapter: both or none are there."""

_NAME = re.compile(r"base_model\.model\.(?P<layer>.+)\.lora_(?P<part>[AB])\.weight")
# What says where it came from, how it was made, or what is read below; any other setting would
# change what the adapter computes.
_HARMLESS = {
    *("auto_mapping", "base_model_name_or_path", "inference_mode", "peft_version", "revision"),
    *("exclude_modules", "layers_pattern", "layers_to_transform", "target_modules", "task_type"),
    *("init_lora_weights", "lora_dropout", "megatron_core", "qalora_group_size"),
    *("bias", "fan_in_fan_out", "lora_alpha", "peft_type", "r"),
}


def merged(tensors: dict[str, Tensor], contents: Mapping[str, bytes]) -> dict[str, Tensor]:
    """The weights of a version: `tensors`, changed by the adapter where `contents` (file name to
    bytes) holds one. Raises `SwapRefused`."""
    held = [name for name in ADAPTER if name in contents]
    if not held:
        return tensors
    if len(held) < len(ADAPTER):
        raise SwapRefused(f"the checkpoint lists {held[0]} without the other file of the adapter")
    config = read_json(_CONFIG, contents[_CONFIG])
    rank, scale = _rank_and_scale(config)
    result = dict(tensors)
    for layer, parts in _layers(read_tensors(_TENSORS, contents[_TENSORS])).items():
        name = f"{layer}.weight"
        if name not in tensors:
            raise SwapRefused(f"the adapter changes {layer}, which has no weights in the model")
        delta = scale * _product(layer, parts, rank)
        if config.get("fan_in_fan_out"):
            delta = delta.T
        weight = tensors[name]
        if delta.shape != weight.shape:
            raise SwapRefused(
                f"the adapter's {layer} is {list(delta.shape)}, the model has {list(weight.shape)}"
            )
        result[name] = (weight.float() + delta).to(weight.dtype)
    return result


def _rank_and_scale(config: Mapping[str, Any]) -> tuple[int, float]:
    # A named way to begin may have changed the weights that the adapter stands on.
    named = isinstance(config.get("init_lora_weights"), str)
    if config.get("peft_type") != "LORA" or config.get("bias", "none") != "none" or named:
        raise SwapRefused(f"{_CONFIG} describes no plain LoRA: only that is served")
    for name, value in config.items():
        if value and name not in _HARMLESS:
            raise SwapRefused(f"{_CONFIG} sets {name}: only plain LoRA is served")
    rank, alpha = config.get("r"), config.get("lora_alpha")
    if not isinstance(rank, int) or rank < 1 or not isinstance(alpha, int | float):
        raise SwapRefused(f"{_CONFIG} has no r or no lora_alpha")
    if not math.isfinite(alpha):
        raise SwapRefused(f"{_CONFIG} has a lora_alpha that is not finite")
    return rank, alpha / rank


def _layers(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """The two matrices of every layer."""
    layers: dict[str, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        found = _NAME.fullmatch(name)
        if found is None:
            raise SwapRefused(f"{_TENSORS} holds {name}, which is no part of plain LoRA")
        if not torch.isfinite(value).all():
            raise SwapRefused(f"{name} holds values that are not finite")
        layers.setdefault(found["layer"], {})[found["part"]] = value
    if not layers:
        raise SwapRefused(f"{_TENSORS} is empty")
    return layers


def _product(layer: str, parts: Mapping[str, Tensor], rank: int) -> Tensor:
    """B @ A: [out, in]."""
    if len(parts) < 2:
        raise SwapRefused(f"the adapter has one matrix of {layer}, it takes two")
    a, b = parts["A"].float(), parts["B"].float()
    if a.ndim != 2 or b.ndim != 2 or a.shape[0] != rank or b.shape[1] != rank:
        raise SwapRefused(
            f"the adapter's matrices of {layer} are {list(b.shape)} and {list(a.shape)}, "
            f"which is not rank {rank}"
        )
    return b @ a
