"""A checkpoint as a model that can be served: built once, later versions loaded beside it.
Knows no request; accepts nothing but tensors that fit.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM

from agents.engines.checkpoint.adapter import ADAPTER, merged
from agents.engines.checkpoint.fitting import (
    CONFIG,
    GENERATION,
    check_tensors,
    read_config,
    read_tensors,
    stop_ids,
)
from agents.engines.checkpoint.prompting import (
    PROMPTING,
    TOKENIZER,
    Prompting,
    check_unchanged,
    prompting_texts,
    read_prompting,
)
from agents.engines.checkpoint.verified import read_verified
from agents.engines.engine import SwapRefused
from agents.engines.local.attention import register

_MODEL = "model.safetensors"
_NEEDED = (CONFIG, _MODEL, TOKENIZER)
_OPTIONAL = (GENERATION, *PROMPTING, *ADAPTER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """One version, ready to generate. `stop_ids` end an answer; `max_length` is that of prompt and
    answer together, None where the model names none."""

    version: int
    model: Any
    prompting: Prompting
    stop_ids: tuple[int, ...]
    vocab: int
    max_length: int | None
    config: Mapping[str, Any]


def load(
    version: int,
    folder: Path,
    files: Mapping[str, str],
    current: Served | None,
    device: torch.device | str,
) -> Served:
    """Check and load a checkpoint; `current` keeps its own weights. Raises `SwapRefused`.

    The first checkpoint decides the architecture and the prompting, later ones must match.
    """
    missing = [name for name in _NEEDED if name not in files]
    if missing:
        raise SwapRefused(f"the checkpoint {folder} does not list {', '.join(missing)}")
    contents = read_verified(folder, files, (*_NEEDED, *_OPTIONAL))
    config = read_config(contents[CONFIG])
    tensors = merged(read_tensors(_MODEL, contents[_MODEL]), contents)
    texts = prompting_texts(contents)
    if current is None:
        model = _build(config)
        prompting = read_prompting(texts)
        ends = stop_ids(contents, config, prompting.tokenizer)
    else:
        if config != current.config:
            raise SwapRefused(f"config.json in {folder} differs from the served model's")
        check_unchanged(current.prompting.texts, texts, folder)
        model, prompting, ends = current.model, current.prompting, current.stop_ids
    return Served(
        version=version,
        model=_with_tensors(model, tensors, device),
        prompting=prompting,
        stop_ids=ends,
        vocab=int(model.get_input_embeddings().num_embeddings),
        max_length=getattr(model.config, "max_position_embeddings", None),
        config=config,
    )


def _build(config: Mapping[str, Any]) -> Any:
    kind = config.get("model_type")
    if kind not in CONFIG_MAPPING:
        raise SwapRefused(f"config.json names model_type {kind!r}, which transformers lacks")
    try:
        described = CONFIG_MAPPING[kind].from_dict(dict(config))
        kinds = set(getattr(described, "layer_types", None) or ["full_attention"])
        windowed = getattr(described, "sliding_window", None) is not None
        dtype = described.dtype or torch.float32
        with torch.random.fork_rng(devices=[]):
            model = AutoModelForCausalLM.from_config(
                described, dtype=dtype, attn_implementation=register()
            )
    except Exception as error:  # whatever a wrong configuration makes the library raise
        raise SwapRefused(f"config.json describes no model: {error}") from None
    if windowed or kinds != {"full_attention"}:
        raise SwapRefused("this engine serves models whose layers all have full attention")
    return model.eval().requires_grad_(False)


def _with_tensors(model: Any, tensors: dict[str, torch.Tensor], device: torch.device | str) -> Any:
    """A twin of `model` that holds `tensors`; `model` itself is not touched."""
    slots: dict[str, torch.Tensor] = {}
    for name, value in model.state_dict(keep_vars=True).items():
        if all(value is not other for other in slots.values()):
            slots[name] = value
    check_tensors(tensors, slots)
    # Deep-copying with the new values as memo copies the structure and not the old weights;
    # the configuration is shared because nothing changes it.
    memo: dict[int, Any] = {id(model.config): model.config}
    for name, slot in slots.items():
        value = tensors[name].to(device, copy=True)
        is_parameter = isinstance(slot, torch.nn.Parameter)
        memo[id(slot)] = torch.nn.Parameter(value, requires_grad=False) if is_parameter else value
    return copy.deepcopy(model, memo).to(device)
