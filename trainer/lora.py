"""Low-rank adapters (Hu et al. 2021) by peft: which layers get one, and what describes it in a
checkpoint. Knows no learning and no engine.
"""

import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from trainer.checkpoint.checkpoint import ADAPTER_CONFIG
from trainer.config import LoraConfig


def targets_of(model: Any, config: LoraConfig) -> list[str]:
    """The names of the layers that get an adapter. Raises `ValueError`."""
    layers = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear | Conv1D)
    }
    head = model.get_output_embeddings()
    hidden = [name for name, module in layers.items() if module is not head]
    if not config.targets:
        return hidden
    # A head that is tied to the embedding has no weights of its own.
    tied = head is not None and head.weight is model.get_input_embeddings().weight
    allowed = hidden if tied else list(layers)
    for target in config.targets:
        if not any(_ends(name, target) for name in allowed):
            endings = ", ".join(sorted({name.rpartition(".")[2] for name in allowed}))
            raise ValueError(f"lora.targets: the model has no layer {target}: there are {endings}")
    return [name for name in allowed if any(_ends(name, target) for target in config.targets)]


def with_adapter(model: Any, config: LoraConfig, seed: int) -> Any:
    """`model` frozen, with an adapter that changes nothing yet; its values follow from `seed`."""
    from peft import LoraConfig as PeftConfig
    from peft import get_peft_model

    described = PeftConfig(
        r=config.rank,
        lora_alpha=config.alpha,
        target_modules=targets_of(model, config),
        task_type="CAUSAL_LM",
        fan_in_fan_out=any(isinstance(module, Conv1D) for module in model.modules()),
    )
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        # peft asks for what transformers has renamed.
        warnings.simplefilter("ignore", FutureWarning)
        torch.manual_seed(seed)
        return get_peft_model(model, described)


def save_description(model: Any, folder: Path) -> None:
    """Write what peft reads beside the adapter's tensors."""
    [described] = model.peft_config.values()
    # The same adapter has the same files, wherever and in whichever process it was made.
    described.target_modules = sorted(described.target_modules)
    described.base_model_name_or_path = None
    described.save_pretrained(str((folder / ADAPTER_CONFIG).parent))


def _ends(name: str, target: str) -> bool:
    return name == target or name.endswith(f".{target}")
