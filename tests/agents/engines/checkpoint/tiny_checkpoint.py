"""Small checkpoints and the engines over them, and what a plain full forward says of a
completion: the reference every engine is held against."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from agents.engines.engine import Completion, Engine, Request
from agents.engines.local.engine import LocalEngine
from trainer.alphabet import FULL
from trainer.config import ModelConfig
from trainer.seed_model import make_model, make_tokenizer, save_model

Open = Callable[[], AbstractAsyncContextManager[Engine]]

_ROPE = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "max_position_embeddings": 128,
    "initializer_range": 0.2,
    "pad_token_id": 0,
    "eos_token_id": 1,
    "bos_token_id": None,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    folder: Path
    files: dict[str, str]


def save_checkpoint(
    folder: Path,
    seed: int = 0,
    family: Literal["smollm3", "llama", "qwen3"] = "smollm3",
    config: ModelConfig | None = None,
) -> Checkpoint:
    """A random model whose next-token distributions are far from uniform."""
    torch.manual_seed(seed)
    if family == "llama":
        model: Any = LlamaForCausalLM(LlamaConfig(**_ROPE))
    elif family == "qwen3":
        model = Qwen3ForCausalLM(Qwen3Config(**_ROPE, tie_word_embeddings=True))
    else:
        model = make_model(config or ModelConfig(), seed=seed)
        with torch.no_grad():
            for value in model.parameters():
                value.mul_(4.0)
    return Checkpoint(folder=folder, files=save_model(model, make_tokenizer(FULL), folder))


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def request(engine: Engine, text: str = "rabcde>", **settings: Any) -> Request:
    fields = {"n": 1, "max_tokens": 8, "prompt_tokens": engine.encode(text), **settings}
    return Request(**fields)


@contextmanager
def local_engine(**settings: Any) -> Iterator[LocalEngine]:
    with ThreadPoolExecutor(max_workers=1) as executor:
        yield LocalEngine(executor, **settings)


@torch.no_grad()
def reference_logprobs(
    folder: Path, prompt: Sequence[int], completion: Completion, temperature: float = 1.0
) -> list[float]:
    """Log-probability of each token by one full forward of stock transformers."""
    model = AutoModelForCausalLM.from_pretrained(folder)
    ids = torch.tensor([[*prompt, *completion.tokens]])
    logits = model(ids).logits[0, len(prompt) - 1 : -1] / temperature
    chosen = torch.tensor(completion.tokens)[:, None]
    return [float(value) for value in torch.log_softmax(logits, -1).gather(1, chosen)[:, 0]]
