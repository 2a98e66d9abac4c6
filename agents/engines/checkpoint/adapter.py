"""The adapter of a version, beside the weights it stands on or merged into them: an engine serves
one version to all, so that no request can get another adapter. Knows no model and no peft; accepts
nothing but LoRA.

    W + alpha / r * B @ A      in 32 bits, merged in the type of W
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True, kw_only=True)
class LowRank:
    """What is added to one layer's weights [out, in]: up [out, r] @ down [r, in], in 32 bits."""

    up: Tensor
    down: Tensor


def merged(tensors: Mapping[str, Tensor], contents: Mapping[str, bytes]) -> dict[str, Tensor]:
    """The weights of a version: `tensors`, changed by the adapter where `contents` (file name to
    bytes) holds one. Raises `SwapRefused`."""
    return with_adapter(tensors, read_adapter(contents))


def with_adapter(
    tensors: Mapping[str, Tensor], adapter: Mapping[str, LowRank]
) -> dict[str, Tensor]:
    """The weights, changed by `adapter`. Raises `SwapRefused` where it does not fit them."""
    check_fits(adapter, tensors)
    result = dict(tensors)
    for layer, each in adapter.items():
        weight = tensors[f"{layer}.weight"]
        result[f"{layer}.weight"] = (weight.float() + each.up @ each.down).to(weight.dtype)
    return result


def check_fits(adapter: Mapping[str, LowRank], tensors: Mapping[str, Tensor]) -> None:
    """Raises `SwapRefused` for an adapter of other weights; the values do not matter."""
    for layer, each in adapter.items():
        weight = tensors.get(f"{layer}.weight")
        if weight is None:
            raise SwapRefused(f"the adapter changes {layer}, which has no weights in the model")
        shape = [len(each.up), each.down.shape[1]]
        if shape != list(weight.shape):
            raise SwapRefused(
                f"the adapter's {layer} is {shape}, the model has {list(weight.shape)}"
            )


def read_adapter(contents: Mapping[str, bytes]) -> dict[str, LowRank]:
    """Of the files of a checkpoint, name to bytes: what its adapter adds by the name of the layer;
    empty where it has none. Raises `SwapRefused`."""
    held = [name for name in ADAPTER if name in contents]
    if not held:
        return {}
    if len(held) < len(ADAPTER):
        raise SwapRefused(f"the checkpoint lists {held[0]} without the other file of the adapter")
    config = read_json(_CONFIG, contents[_CONFIG])
    rank, scale = _rank_and_scale(config)
    adapter = {}
    for layer, parts in _layers(read_tensors(_TENSORS, contents[_TENSORS])).items():
        a, b = _matrices(layer, parts, rank)
        up, down = (a.T, b.T) if config.get("fan_in_fan_out") else (b, a)
        adapter[layer] = LowRank(up=scale * up, down=down)
    return adapter


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


def _matrices(layer: str, parts: Mapping[str, Tensor], rank: int) -> tuple[Tensor, Tensor]:
    """A [r, in] and B [out, r]."""
    if len(parts) < 2:
        raise SwapRefused(f"the adapter has one matrix of {layer}, it takes two")
    a, b = parts["A"].float(), parts["B"].float()
    if a.ndim != 2 or b.ndim != 2 or a.shape[0] != rank or b.shape[1] != rank:
        raise SwapRefused(
            f"the adapter's matrices of {layer} are {list(b.shape)} and {list(a.shape)}, "
            f"which is not rank {rank}"
        )
    return a, b
