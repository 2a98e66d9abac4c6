"""Small models of many kinds, their sizes drawn at random: what a run can begin with."""

from pathlib import Path
from random import Random
from typing import Any

import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM

from trainer.seed_model import make_tokenizer

KNOWN, VOCAB = 64, 80
"""Fewer tokens of the tokenizer than of the model: the last ids stand for nothing."""

_FIELDS: dict[str, dict[str, Any]] = {
    "apertus": {},
    "arcee": {},
    "bitnet": {},
    "bloom": {},
    "codegen": {"rotary_dim": 4},
    "cohere": {},
    "cohere2": {"sliding_window": 8},
    "deepseek_v3": {
        "q_lora_rank": 8,
        "kv_lora_rank": 8,
        "qk_rope_head_dim": 8,
        "qk_nope_head_dim": 8,
        "v_head_dim": 8,
        "n_routed_experts": 4,
        "num_experts_per_tok": 2,
        "n_group": 1,
        "topk_group": 1,
        "moe_intermediate_size": 16,
        "first_k_dense_replace": 1,
    },
    "diffllama": {},
    "ernie4_5": {},
    "exaone4": {"sliding_window": 8, "sliding_window_pattern": 2},
    "falcon": {"parallel_attn": True, "new_decoder_architecture": False},
    "falcon_mamba": {},
    "gemma": {},
    "gemma2": {"sliding_window": 8, "query_pre_attn_scalar": 16},
    "gemma3_text": {"sliding_window": 8, "query_pre_attn_scalar": 16, "sliding_window_pattern": 2},
    "glm": {"pad_token_id": 0},
    "glm4": {"pad_token_id": 0},
    "gpt2": {},
    "gpt_bigcode": {},
    "gpt_neo": {
        "attention_types": [[["global", "local"], 1]],
        "window_size": 8,
        "num_layers": 2,
    },
    "gpt_neox": {},
    "gpt_oss": {"sliding_window": 8, "num_local_experts": 4, "num_experts_per_tok": 2},
    "gptj": {"rotary_dim": 4},
    "granite": {"logits_scaling": 2.0, "residual_multiplier": 0.5, "attention_multiplier": 0.2},
    "granitemoe": {"num_local_experts": 4, "num_experts_per_tok": 2},
    "helium": {},
    "jamba": {},
    "jetmoe": {"num_local_experts": 4, "num_experts_per_tok": 2, "kv_channels": 8},
    "lfm2": {},
    "llama": {"rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}},
    "llama4_text": {"attention_chunk_size": 8, "num_local_experts": 2, "intermediate_size_mlp": 24},
    "mamba": {},
    "mistral": {"sliding_window": 8},
    "mixtral": {"num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": 8},
    "modernbert-decoder": {"local_attention": 8, "bos_token_id": 0, "cls_token_id": 0},
    "mpt": {},
    "nemotron": {},
    "olmo": {},
    "olmo2": {},
    "olmo3": {"sliding_window": 8},
    "olmoe": {"num_experts": 4, "num_experts_per_tok": 2},
    "openai-gpt": {},
    "opt": {"ffn_dim": 24, "word_embed_proj_dim": 32},
    "persimmon": {},
    "phi": {},
    "phi3": {"sliding_window": 8},
    "phimoe": {"num_local_experts": 4, "num_experts_per_tok": 2},
    "qwen2": {},
    "qwen2_moe": {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16},
    "qwen3": {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1},
    "qwen3_moe": {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16},
    "recurrent_gemma": {},
    "roformer": {"is_decoder": True},
    "rwkv": {},
    "seed_oss": {},
    "smollm3": {},
    "stablelm": {},
    "starcoder2": {"sliding_window": 8},
    "xglm": {"d_model": 32, "attention_heads": 4, "num_layers": 2, "ffn_dim": 24},
}
KINDS = tuple(_FIELDS)
_BY_CHANCE = {
    "tie_word_embeddings": (True, False),
    "attention_bias": (True, False),
    "mlp_bias": (True, False),
    "use_qk_norm": (True, False),
    "parallel_attn": (True, False),
    "new_decoder_architecture": (True, False),
    "alibi": (True, False),
    "use_parallel_residual": (True, False),
    "hidden_act": ("silu", "gelu"),
}


def save_kind(folder: Path, kind: str, seed: int = 0) -> Path:
    """A random model of `kind` as an ordinary folder, its sizes and settings drawn by chance."""
    random = Random(f"{kind}/{seed}")
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(_described(kind, random))
    # Far from uniform, or no mistake would show.
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.3)
        elif name.endswith("bias"):
            torch.nn.init.normal_(parameter, std=0.1)
    model.save_pretrained(folder)
    make_tokenizer(KNOWN).save_pretrained(folder)
    return folder


def _described(kind: str, random: Random) -> Any:
    heads, width = random.choice([2, 4]), random.choice([8, 16])
    if kind in ("codegen", "diffllama"):
        heads = 4
    sizes: dict[str, Any] = {
        "vocab_size": VOCAB,
        "hidden_size": heads * width,
        "num_hidden_layers": random.choice([2, 3]),
        "num_attention_heads": heads,
        "max_position_embeddings": 64,
        "bos_token_id": None,
        "eos_token_id": 1,
        "pad_token_id": 0,
    }
    described = CONFIG_MAPPING[kind]
    plain = described()
    known = {**vars(plain), **described.attribute_map}
    if "intermediate_size" in known:
        sizes["intermediate_size"] = random.choice([24, 40])
    if "num_key_value_heads" in known:
        sizes["num_key_value_heads"] = random.choice([heads, 2])
    if "head_dim" in known:
        sizes["head_dim"] = width
    for name, values in _BY_CHANCE.items():
        if isinstance(getattr(plain, name, None), type(values[0])):
            sizes[name] = random.choice(values)
    return described(**{**sizes, **_FIELDS[kind]})
