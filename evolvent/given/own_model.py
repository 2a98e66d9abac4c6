"""A model that a user brings: an ordinary Hugging Face folder. Only `load_model` loads torch."""

from pathlib import Path
from typing import Any

from evolvent.errors import UsageError
from evolvent.given.folder import CONFIG, check_folder, unfit
from evolvent.given.tokenizer import GivenTokenizer, read_tokenizer


def check_model(folder: Path) -> None:
    """Raises `UsageError` for what can be seen without loading the model."""
    check_folder(folder)


def load_model(folder: Path, system: str | None = None) -> tuple[Any, GivenTokenizer]:
    """The model in 32 bits and its tokenizer; no code of the folder runs. A
    `system` message stands in its chat template. Raises `UsageError`."""
    from transformers import CONFIG_MAPPING, MODEL_FOR_CAUSAL_LM_MAPPING, GenerationConfig

    kind = check_folder(folder)["model_type"]
    if kind not in CONFIG_MAPPING or CONFIG_MAPPING[kind] not in MODEL_FOR_CAUSAL_LM_MAPPING:
        raise unfit(folder, f"transformers knows no causal language model {kind!r}")
    model = _loaded(folder)
    tokenizer = read_tokenizer(folder, system)
    if max(tokenizer.prompting.known) >= model.get_input_embeddings().num_embeddings:
        raise unfit(folder, "its tokenizer has more tokens than the model")
    kept = model.state_dict().keys() - dict(model.named_parameters(remove_duplicate=False)).keys()
    if kept:
        raise unfit(folder, f"{min(kept)} is no parameter and could not be published")
    # How to sample is the solver's matter, and not all that models suggest can be saved.
    model.generation_config = GenerationConfig(eos_token_id=model.generation_config.eos_token_id)
    return model.eval(), tokenizer


def _loaded(folder: Path) -> Any:
    """The model with every tensor of the folder, and none besides. Raises `UsageError`."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

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
        raise unfit(folder, _first_line(error)) from None
    if lacking := {*found["missing_keys"], *(name for name, *_ in found["mismatched_keys"])}:
        raise unfit(folder, f"its safetensors have no {min(lacking)} as {CONFIG} describes it")
    if unused := found["unexpected_keys"]:
        raise unfit(folder, f"its safetensors have a {min(unused)} that {CONFIG} does not describe")
    output = model.get_output_embeddings()
    if output is not None and output.weight is not model.get_input_embeddings().weight:
        # Of a folder that describes them as one and holds two, both are kept: what is read
        # again must say so.
        model.config.tie_word_embeddings = False
    return model


def end_of_answer(model: Any, tokenizer: Any) -> int:
    """The token that ends an answer. Raises `UsageError`."""
    for named in (tokenizer, model.generation_config, model.config):
        if (end := named.eos_token_id) is not None:
            return int(end[0] if isinstance(end, list) else end)
    raise UsageError("the model names no end token: set eos_token_id in its config.json")


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__).rstrip(" .:")
