"""How a kind of model is built and asked: what it is given of masks and positions. Knows no
request; whether it is then exact is tried (see `exact`), never believed.
"""

import inspect
from collections.abc import Mapping
from typing import Any, Literal

import torch
from transformers import CONFIG_MAPPING, MODEL_FOR_CAUSAL_LM_MAPPING, AutoModelForCausalLM

from agents.engines.checkpoint.kind import windows
from agents.engines.engine import SwapRefused
from agents.engines.local.attention import register

Way = Literal["rows", "library"]
"""With the engine's own attention and masks, or as the library attends: slower, but it knows of
windows, biases by distance and whatever else a kind does."""

OWN = frozenset(("llama", "mistral", "qwen2", "qwen3", "smollm3"))
"""Kinds whose layers the engine can compute itself, see `own`."""

_WINDOWED = frozenset(
    (
        *(
            "cohere2",
            "exaone4",
            "gemma2",
            "gemma3_text",
            "gpt_oss",
            "llama4_text",
            "ministral",
            "mistral",
        ),
        *(
            "mixtral",
            "modernbert-decoder",
            "olmo3",
            "phi3",
            "qwen2",
            "qwen2_moe",
            "qwen3",
            "qwen3_moe",
            "smollm3",
        ),
        "starcoder2",
    )
)
"""Kinds whose windows are held to a full forward pass by a test, beyond their length."""
_SERVED_LAYERS = {"full_attention", "sliding_attention", "chunked_attention"}


def ways(config: Mapping[str, Any]) -> tuple[Way, ...]:
    """How a model could be asked, the fastest first. Raises `SwapRefused` for a window that nobody
    has tried."""
    kind = config.get("model_type")
    if found := windows(config):
        if kind not in _WINDOWED:
            name, window = next(iter(found.items()))
            raise SwapRefused(
                f"models of kind {kind!r} with {name} = {window} are not served by engine.type = "
                "local: choose engine.type = vllm or another model"
            )
        return ("library",)
    if kind not in CONFIG_MAPPING or CONFIG_MAPPING[kind] not in MODEL_FOR_CAUSAL_LM_MAPPING:
        raise SwapRefused(f"config.json names model_type {kind!r}, which is no language model here")
    # The library knows which kinds its fused attention would serve wrongly.
    fused = MODEL_FOR_CAUSAL_LM_MAPPING[CONFIG_MAPPING[kind]]._supports_sdpa
    return ("rows", "library") if fused else ("library",)


def build(config: Mapping[str, Any], way: Way) -> Any:
    """A model of random weights as `config` describes it. Raises `SwapRefused`."""
    kind = config["model_type"]
    asked = {"attn_implementation": register()} if way == "rows" else {}
    try:
        described = CONFIG_MAPPING[kind].from_dict(dict(config))
        layers = set(getattr(described, "layer_types", None) or ())
        dtype = described.dtype or torch.float32
        with torch.random.fork_rng(devices=[]):
            model = AutoModelForCausalLM.from_config(described, dtype=dtype, **asked)
    except Exception as error:  # whatever a wrong configuration makes the library raise
        raise SwapRefused(f"config.json describes no model: {error}") from None
    if unserved := sorted(layers - _SERVED_LAYERS):
        raise SwapRefused(f"engine.type = local serves no layers of {unserved[0]} (kind {kind!r})")
    return model.eval().requires_grad_(False)


def takes(model: Any) -> frozenset[str]:
    """What the model's forward pass can be given."""
    return frozenset(inspect.signature(model.forward).parameters)
