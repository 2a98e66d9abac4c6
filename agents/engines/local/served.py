"""A checkpoint as a model that can be served: built once, later versions loaded beside it.
Knows no request; accepts nothing but tensors that fit.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from agents.engines.checkpoint.adapter import ADAPTER, merged
from agents.engines.checkpoint.fitting import (
    CONFIG,
    GENERATION,
    check_tensors,
    read_config,
    read_tensors,
    stop_ids,
)
from agents.engines.checkpoint.kind import longest
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
from agents.engines.local.kinds import Way, build

_MODEL = "model.safetensors"
_NEEDED = (CONFIG, _MODEL, TOKENIZER)
_OPTIONAL = (GENERATION, *PROMPTING, *ADAPTER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """One version, ready to generate, and the `way` to ask its model. `stop_ids` end an answer,
    tokens of `unknown_V` (bool; None where there are none) are never drawn; `max_length` is that of
    prompt and answer together, None where the model names none."""

    version: int
    model: Any
    way: Way
    prompting: Prompting
    stop_ids: tuple[int, ...]
    vocab: int
    unknown_V: torch.Tensor | None
    max_length: int | None
    config: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What was read of a checkpoint's folder, every byte checked."""

    folder: Path
    config: Mapping[str, Any]
    tensors: Mapping[str, torch.Tensor]
    texts: Mapping[str, str]
    contents: Mapping[str, bytes]


def read(folder: Path, files: Mapping[str, str]) -> Published:
    """Raises `SwapRefused`."""
    missing = [name for name in _NEEDED if name not in files]
    if missing:
        raise SwapRefused(f"the checkpoint {folder} does not list {', '.join(missing)}")
    contents = read_verified(folder, files, (*_NEEDED, *_OPTIONAL))
    return Published(
        folder=folder,
        config=read_config(contents[CONFIG]),
        tensors=merged(read_tensors(_MODEL, contents[_MODEL]), contents),
        texts=prompting_texts(contents),
        contents=contents,
    )


def first(version: int, published: Published, way: Way, device: torch.device | str) -> Served:
    """What decides the architecture and the prompting of all that follow. Raises `SwapRefused`."""
    model = build(published.config, way)
    prompting = read_prompting(published.texts)
    vocab = int(model.get_input_embeddings().num_embeddings)
    unknown_V = torch.zeros(vocab, dtype=torch.bool)
    unknown_V[list(prompting.unknown(vocab))] = True
    return Served(
        version=version,
        model=_with_tensors(model, published.tensors, device),
        way=way,
        prompting=prompting,
        stop_ids=stop_ids(published.contents, published.config, prompting.tokenizer),
        vocab=vocab,
        unknown_V=unknown_V.to(device) if unknown_V.any() else None,
        max_length=longest(published.config),
        config=published.config,
    )


def following(
    version: int, published: Published, current: Served, device: torch.device | str
) -> Served:
    """A later version of what is served; `current` keeps its own weights. Raises `SwapRefused`."""
    if published.config != current.config:
        raise SwapRefused(f"config.json in {published.folder} differs from the served model's")
    check_unchanged(current.prompting.texts, published.texts, published.folder)
    model = _with_tensors(current.model, published.tensors, device)
    return replace(current, version=version, model=model)


def _with_tensors(
    model: Any, tensors: Mapping[str, torch.Tensor], device: torch.device | str
) -> Any:
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
