"""The seed model before it has learned anything: a tiny character transformer and its
tokenizer, saved as an ordinary Hugging Face folder. Knows no task and no training.
"""

from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    SmolLM3Config,
    SmolLM3ForCausalLM,
)

from trainer.alphabet import EOS, PAD, build_tokenizer
from trainer.checkpoint.manifest import sha256_of
from trainer.config import LEAST_POSITIONS, ModelConfig


def make_model(config: ModelConfig, seed: int = 0) -> SmolLM3ForCausalLM:
    """A model with random weights fixed by `seed`, fp32.

    It has no position encoding: the causal mask alone gives order, which is what makes
    lengths beyond those trained on reachable.
    """
    architecture = SmolLM3Config(
        vocab_size=config.vocab,
        hidden_size=config.hidden,
        intermediate_size=config.intermediate,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        num_key_value_heads=config.heads,
        head_dim=config.head_dim,
        no_rope_layers=[0] * config.layers,
        max_position_embeddings=config.max_positions or LEAST_POSITIONS,
        tie_word_embeddings=True,
        initializer_range=0.02,
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=None,
        attn_implementation="sdpa",
        dtype=torch.float32,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = SmolLM3ForCausalLM(architecture)
    return model.eval()


def make_tokenizer(vocab: int = 64) -> PreTrainedTokenizerFast:
    """The alphabet with `vocab` ids, as transformers has it; see `build_tokenizer`."""
    return PreTrainedTokenizerFast(
        tokenizer_object=build_tokenizer(vocab),
        pad_token=PAD,
        eos_token=EOS,
        padding_side="left",
        clean_up_tokenization_spaces=False,
        model_input_names=["input_ids", "attention_mask"],
    )


def save_model(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path
) -> dict[str, str]:
    """Write the folder that `from_pretrained` reads; the sha256 of every file in it.

    Tied parameters are written once, as the format wants it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: value.detach().cpu().contiguous() for name, value in model.named_parameters()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(folder)
    model.generation_config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return {path.name: sha256_of(path) for path in sorted(folder.iterdir()) if path.is_file()}
