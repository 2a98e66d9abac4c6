"""Whether a checkpoint fits what is served: configuration, names, shapes and values of its
tensors. Knows no model; accepts nothing but safetensors.
"""

from collections.abc import Mapping
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from tokenizers import Tokenizer

from agents.engines.checkpoint.prompting import TOKENIZER_CONFIG, Prompting
from agents.engines.checkpoint.verified import read_json
from agents.engines.engine import SwapRefused

CONFIG, GENERATION = "config.json", "generation_config.json"

# These would make a configuration run code or fetch files instead of describing a model.
_FORBIDDEN = ("auto_map", "quantization_config", "_attn_implementation", "attn_implementation")
_PROVENANCE = ("transformers_version", "_name_or_path")

_MOST_NEVER_DRAWN = 1024
_NEVER = -1e30


def read_config(content: bytes) -> dict[str, Any]:
    """What describes the model, without what only says who wrote it."""
    config = read_json(CONFIG, content)
    for name in _FORBIDDEN:
        if config.get(name) is not None:
            raise SwapRefused(f"config.json sets {name}: only plain models are served")
    return {name: value for name, value in config.items() if name not in _PROVENANCE}


def read_tensors(name: str, content: bytes) -> dict[str, torch.Tensor]:
    try:
        tensors: dict[str, torch.Tensor] = load_tensors(content)
    except (SafetensorError, ValueError, KeyError) as error:
        raise SwapRefused(f"{name} cannot be read: {error}") from None
    return tensors


def stop_ids(
    contents: Mapping[str, bytes], config: Mapping[str, Any], tokenizer: Tokenizer
) -> tuple[int, ...]:
    """Chat models name different end tokens in different files: any of them ends an answer."""
    found: list[Any] = [config.get("eos_token_id")]
    if content := contents.get(GENERATION):
        found.append(read_json(GENERATION, content).get("eos_token_id"))
    if content := contents.get(TOKENIZER_CONFIG):
        name = read_json(TOKENIZER_CONFIG, content).get("eos_token")
        name = name.get("content") if isinstance(name, dict) else name
        found.append(tokenizer.token_to_id(name) if isinstance(name, str) else None)
    ids: set[int] = set()
    for entry in found:
        ids.update(entry if isinstance(entry, list) else [] if entry is None else [entry])
    return tuple(sorted(ids))


def never_drawn(prompting: Prompting, vocab: int) -> dict[int, float]:
    """What vLLM must add to the logits of tokens that the tokenizer has not, so that nothing is
    left for them. Raises `SwapRefused` for more of them than it takes."""
    unknown = prompting.unknown(vocab)
    if len(unknown) > _MOST_NEVER_DRAWN:
        raise SwapRefused(
            f"the model has {len(unknown)} tokens more than its tokenizer, vLLM leaves out at most "
            f"{_MOST_NEVER_DRAWN}: choose engine.type = local, or cut the model's embeddings"
        )
    return dict.fromkeys(unknown, _NEVER)


def check_tensors(tensors: Mapping[str, torch.Tensor], slots: Mapping[str, torch.Tensor]) -> None:
    """Raises `SwapRefused` unless `tensors` have the names, shapes and types of `slots` (whose
    values do not matter) and are finite."""
    if differing := sorted(slots.keys() ^ tensors.keys()):
        raise SwapRefused(f"model.safetensors lacks or adds tensors: {', '.join(differing[:3])}")
    for name, slot in slots.items():
        value = tensors[name]
        if value.shape != slot.shape or value.dtype != slot.dtype:
            raise SwapRefused(
                f"{name} is {list(value.shape)} {value.dtype}, "
                f"the model has {list(slot.shape)} {slot.dtype}"
            )
        if not torch.isfinite(value).all():
            raise SwapRefused(f"{name} holds values that are not finite")
