"""Checkpoints with an adapter, written by peft itself, and how peft reads them."""

import hashlib
from pathlib import Path
from typing import Any, Literal

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from tests.agents.engines.checkpoint.tiny_checkpoint import Checkpoint, save_checkpoint
from trainer.checkpoint.probe import PROBE, make_probe
from trainer.config import LoraConfig
from trainer.lora import with_adapter

LORA = LoraConfig(rank=4, alpha=10.0)


def save_adapted(
    folder: Path,
    seed: int,
    family: Literal["smollm3", "llama", "qwen3"] = "smollm3",
    config: LoraConfig = LORA,
) -> Checkpoint:
    """A random adapter that changes much, on a base that is the same for all seeds."""
    save_checkpoint(folder, 0, family)
    model = with_adapter(AutoModelForCausalLM.from_pretrained(folder), config, seed)
    torch.manual_seed(seed)
    for name, value in model.named_parameters():
        if ".lora_B." in name:
            torch.nn.init.normal_(value, std=0.2)
    model.save_pretrained(str(folder / "adapter"))
    (folder / "adapter" / "README.md").unlink()
    (folder / PROBE).write_bytes(make_probe(model, {}))
    return listed(folder)


def listed(folder: Path) -> Checkpoint:
    """The folder as it is now."""
    files = {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    return Checkpoint(folder=folder, files=files)


def read_by_peft(folder: Path) -> Any:
    base = AutoModelForCausalLM.from_pretrained(folder)
    return PeftModel.from_pretrained(base, str(folder / "adapter")).eval()
