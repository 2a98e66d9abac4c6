"""A model that a user brings: an ordinary Hugging Face folder. Only `load_model` loads torch."""

import json
from pathlib import Path
from typing import Any

from evolvent.errors import UsageError

_CONFIG, _TOKENIZER = "config.json", "tokenizer.json"


def check_model(folder: Path) -> None:
    """Raises `UsageError` for what can be seen without loading the model."""
    if not folder.is_dir():
        raise UsageError(f"model.path = {folder} is no folder: name one with a Hugging Face model")
    try:
        config = json.loads((folder / _CONFIG).read_bytes())
    except OSError as error:
        raise _unfit(folder, f"{_CONFIG} cannot be read ({error.strerror})") from None
    except ValueError:
        raise _unfit(folder, f"{_CONFIG} is not JSON") from None
    if not isinstance(config, dict) or not isinstance(config.get("model_type"), str):
        raise _unfit(folder, f"{_CONFIG} names no model_type")
    for name in ("auto_map", "quantization_config"):
        if config.get(name):
            raise _unfit(folder, f"{_CONFIG} sets {name}; only plain models are learned")
    if not any(folder.glob("*.safetensors")):
        raise _unfit(folder, "it holds no safetensors; save the model in that format")
    if (folder / "adapter_config.json").exists():
        raise _unfit(folder, "it holds an adapter; merge it into the model first")


def load_model(folder: Path) -> tuple[Any, Any]:
    """The model in 32 bits and its tokenizer; no code of the folder runs. Raises `UsageError`."""
    import torch
    from transformers import (
        CONFIG_MAPPING,
        MODEL_FOR_CAUSAL_LM_MAPPING,
        AutoConfig,
        AutoModelForCausalLM,
        AutoTokenizer,
        GenerationConfig,
    )

    check_model(folder)
    kind = json.loads((folder / _CONFIG).read_bytes())["model_type"]
    if kind not in CONFIG_MAPPING or CONFIG_MAPPING[kind] not in MODEL_FOR_CAUSAL_LM_MAPPING:
        raise _unfit(folder, f"transformers knows no causal language model {kind!r}")
    local = {"local_files_only": True, "trust_remote_code": False}
    try:
        model, found = AutoModelForCausalLM.from_pretrained(
            folder,
            config=AutoConfig.from_pretrained(folder, **local),
            dtype=torch.float32,
            use_safetensors=True,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            **local,
        )
    except Exception as error:  # transformers raises whatever its parts raise
        raise _unfit(folder, _first_line(error)) from None
    if unfit := {*found["missing_keys"], *(name for name, *_ in found["mismatched_keys"])}:
        raise _unfit(folder, f"its safetensors have no {min(unfit)} as {_CONFIG} describes it")
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, **local)
    except Exception as error:
        raise _unfit(folder, f"it has no tokenizer: {_first_line(error)}") from None
    if not tokenizer.is_fast:
        raise _unfit(folder, f"its tokenizer has no {_TOKENIZER}")
    if len(tokenizer) > model.get_input_embeddings().num_embeddings:
        raise _unfit(folder, "its tokenizer has more tokens than the model")
    kept = model.state_dict().keys() - dict(model.named_parameters(remove_duplicate=False)).keys()
    if kept:
        raise _unfit(folder, f"{min(kept)} is no parameter and could not be published")
    # How to sample is the solver's matter, and not all that models suggest can be saved.
    model.generation_config = GenerationConfig(eos_token_id=model.generation_config.eos_token_id)
    return model.eval(), tokenizer


def end_of_answer(model: Any, tokenizer: Any) -> int:
    """The token that ends an answer. Raises `UsageError`."""
    for named in (tokenizer, model.generation_config, model.config):
        if (end := named.eos_token_id) is not None:
            return int(end[0] if isinstance(end, list) else end)
    raise UsageError("the model names no end token: set eos_token_id in its config.json")


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__).rstrip(" .:")


def _unfit(folder: Path, why: str) -> UsageError:
    return UsageError(f"the model in {folder} cannot be learned: {why}")
