"""A checkpoint as a model that can be served: built once, later versions loaded beside it.
Knows no request; accepts nothing but tensors that fit.
"""

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from tokenizers import Tokenizer
from transformers import CONFIG_MAPPING, AutoModelForCausalLM

from agents.engines.attention import register
from agents.engines.engine import SwapRefused
from agents.engines.verified import read_verified

_NEEDED = ("config.json", "model.safetensors", "tokenizer.json")
_OPTIONAL = ("generation_config.json", "tokenizer_config.json")
# These would make a configuration run code or fetch files instead of describing a model.
_FORBIDDEN = ("auto_map", "quantization_config", "_attn_implementation", "attn_implementation")
_PROVENANCE = ("transformers_version", "_name_or_path")


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """One version, ready to generate. `stop_ids` end an answer."""

    version: int
    model: Any
    tokenizer: Tokenizer
    stop_ids: tuple[int, ...]
    vocab: int
    config: Mapping[str, Any]
    tokenizer_json: bytes


def load(
    version: int, folder: Path, files: Mapping[str, str], current: Served | None, device: str
) -> Served:
    """Check and load a checkpoint; `current` keeps its own weights. Raises `SwapRefused`.

    The first checkpoint decides the architecture and the tokenizer, later ones must match.
    """
    missing = [name for name in _NEEDED if name not in files]
    if missing:
        raise SwapRefused(f"the checkpoint {folder} does not list {', '.join(missing)}")
    contents = read_verified(folder, files, (*_NEEDED, *_OPTIONAL))
    config = _read_config(contents["config.json"])
    tensors = _read_tensors(contents["model.safetensors"])
    if current is None:
        model = _build(config)
        tokenizer = _read_tokenizer(contents["tokenizer.json"])
        stop_ids = _stop_ids(contents, config, tokenizer)
    else:
        if config != current.config:
            raise SwapRefused(f"config.json in {folder} differs from the served model's")
        if contents["tokenizer.json"] != current.tokenizer_json:
            raise SwapRefused(f"tokenizer.json in {folder} differs from the served model's")
        model, tokenizer, stop_ids = current.model, current.tokenizer, current.stop_ids
    return Served(
        version=version,
        model=_with_tensors(model, tensors, device),
        tokenizer=tokenizer,
        stop_ids=stop_ids,
        vocab=int(model.get_input_embeddings().num_embeddings),
        config=config,
        tokenizer_json=contents["tokenizer.json"],
    )


def _read_config(content: bytes) -> dict[str, Any]:
    config = _read_json("config.json", content)
    for name in _FORBIDDEN:
        if config.get(name) is not None:
            raise SwapRefused(f"config.json sets {name}: only plain models are served")
    return {name: value for name, value in config.items() if name not in _PROVENANCE}


def _read_json(name: str, content: bytes) -> dict[str, Any]:
    try:
        read = json.loads(content)
    except ValueError as error:
        raise SwapRefused(f"{name} is not JSON: {error}") from None
    if not isinstance(read, dict):
        raise SwapRefused(f"{name} is not a JSON object")
    return read


def _read_tensors(content: bytes) -> dict[str, torch.Tensor]:
    try:
        tensors: dict[str, torch.Tensor] = load_tensors(content)
    except (SafetensorError, ValueError, KeyError) as error:
        raise SwapRefused(f"model.safetensors cannot be read: {error}") from None
    return tensors


def _read_tokenizer(content: bytes) -> Tokenizer:
    try:
        tokenizer = Tokenizer.from_str(content.decode())
    except Exception as error:  # the library raises nothing more specific
        raise SwapRefused(f"tokenizer.json cannot be read: {error}") from None
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _stop_ids(
    contents: Mapping[str, bytes], config: Mapping[str, Any], tokenizer: Tokenizer
) -> tuple[int, ...]:
    """Chat models name different end tokens in different files: any of them ends an answer."""
    found: list[Any] = [config.get("eos_token_id")]
    if content := contents.get("generation_config.json"):
        found.append(_read_json("generation_config.json", content).get("eos_token_id"))
    if content := contents.get("tokenizer_config.json"):
        name = _read_json("tokenizer_config.json", content).get("eos_token")
        name = name.get("content") if isinstance(name, dict) else name
        found.append(tokenizer.token_to_id(name) if isinstance(name, str) else None)
    ids: set[int] = set()
    for entry in found:
        ids.update(entry if isinstance(entry, list) else [] if entry is None else [entry])
    return tuple(sorted(ids))


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


def _with_tensors(model: Any, tensors: dict[str, torch.Tensor], device: str) -> Any:
    """A twin of `model` that holds `tensors`; `model` itself is not touched."""
    slots: dict[str, torch.Tensor] = {}
    for name, value in model.state_dict(keep_vars=True).items():
        if all(value is not other for other in slots.values()):
            slots[name] = value
    if differing := sorted(slots.keys() ^ tensors.keys()):
        raise SwapRefused(f"model.safetensors lacks or adds tensors: {', '.join(differing[:3])}")
    # Deep-copying with the new values as memo copies the structure and not the old weights;
    # the configuration is shared because nothing changes it.
    memo: dict[int, Any] = {id(model.config): model.config}
    for name, slot in slots.items():
        value = tensors[name]
        if value.shape != slot.shape or value.dtype != slot.dtype:
            raise SwapRefused(
                f"{name} is {list(value.shape)} {value.dtype}, "
                f"the model has {list(slot.shape)} {slot.dtype}"
            )
        if not torch.isfinite(value).all():
            raise SwapRefused(f"{name} holds values that are not finite")
        value = value.to(device, copy=True)
        is_parameter = isinstance(slot, torch.nn.Parameter)
        memo[id(slot)] = torch.nn.Parameter(value, requires_grad=False) if is_parameter else value
    return copy.deepcopy(model, memo).to(device)
