"""The model that a user gives is the one that is evolved: every tensor, and a tokenizer byte for
byte; what cannot be kept is refused with a sentence."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import Qwen2Config, Qwen2ForCausalLM

from evolvent.errors import UsageError
from evolvent.given.folder import check_folder
from evolvent.given.own_model import load_model
from evolvent.given.tokenizer import read_tokenizer
from trainer.seed_model import save_model

TEXTS = ("r12345>", "Hello world", " leading", "a  b\n c", "naïve é", "x</s>y")


def save_qwen2(folder: Path, **described: Any) -> Tokenizer:
    """Of the kind that transformers retokenises by rules of its own."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<pad>", "</s>"]
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(["reverse the word hello world 12345"] * 50, trainer)
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1}
    config = Qwen2Config(
        vocab_size=320, num_attention_heads=2, num_key_value_heads=2, eos_token_id=1, **sizes
    )
    Qwen2ForCausalLM(config).save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "</s>", **described}))
    return tokenizer


def test_version_0_encodes_as_the_folder(tmp_path: Path) -> None:
    own, first = tmp_path / "own", tmp_path / "first"
    given = save_qwen2(own, tokenizer_class="Qwen2Tokenizer")
    model, tokenizer = load_model(own)
    save_model(model, tokenizer, first)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (first / name).read_bytes() == (own / name).read_bytes()
    kept = Tokenizer.from_file(str(first / "tokenizer.json"))
    assert tokenizer.eos_token_id == 1
    for text in TEXTS:
        assert kept.encode(text).ids == given.encode(text).ids
        assert tokenizer.prompting.encode(text) == tuple(given.encode(text).ids)


def test_what_an_older_folder_names_elsewhere_is_taken_along(tmp_path: Path) -> None:
    save_qwen2(tmp_path, eos_token=None)
    (tmp_path / "special_tokens_map.json").write_text('{"eos_token": {"content": "</s>"}}')
    tokenizer = read_tokenizer(tmp_path)
    assert tokenizer.eos_token_id == 1
    tokenizer.save_pretrained(tmp_path / "first")
    described = json.loads((tmp_path / "first" / "tokenizer_config.json").read_text())
    assert described["eos_token"] == {"content": "</s>"}


@pytest.mark.parametrize(
    "described",
    [
        {"eos_token": "<|end|>"},
        {"added_tokens_decoder": {"7": {"content": "</s>"}}},
        {"chat_template": "{% if %}"},
    ],
)
def test_a_tokenizer_that_is_described_otherwise_is_refused(
    tmp_path: Path, described: dict[str, Any]
) -> None:
    save_qwen2(tmp_path, **described)
    with pytest.raises(UsageError, match="cannot be learned: "):
        load_model(tmp_path)


def test_a_folder_with_another_tokenizer_alone_is_refused_by_its_name(tmp_path: Path) -> None:
    save_qwen2(tmp_path)
    (tmp_path / "tokenizer.json").rename(tmp_path / "tokenizer.model")
    with pytest.raises(UsageError, match=r"no tokenizer\.json, only tokenizer\.model; make one"):
        check_folder(tmp_path)


def test_two_matrices_that_are_described_as_one_are_both_kept(tmp_path: Path) -> None:
    own, first = tmp_path / "own", tmp_path / "first"
    save_qwen2(own)
    path = own / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"tie_word_embeddings": True}))
    model, tokenizer = load_model(own)
    save_model(model, tokenizer, first)
    given, kept = load_file(own / "model.safetensors"), load_file(first / "model.safetensors")
    assert given.keys() == kept.keys() and "lm_head.weight" in kept
    assert all(torch.equal(kept[name], value) for name, value in given.items())
    assert json.loads((first / "config.json").read_text())["tie_word_embeddings"] is False


def test_a_tensor_that_nobody_describes_is_not_dropped_in_silence(tmp_path: Path) -> None:
    save_qwen2(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    tensors["model.layers.0.self_attn.o_proj.bias"] = torch.ones(16)
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UsageError, match=r"have a model\.layers\.0\.self_attn\.o_proj\.bias that"):
        load_model(tmp_path)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float8_e4m3fn, torch.int8])
def test_a_type_that_would_be_changed_is_refused_by_name(
    tmp_path: Path, dtype: torch.dtype
) -> None:
    save_qwen2(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    tensors["lm_head.weight"] = tensors["lm_head.weight"].to(dtype)
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UsageError, match=r"lm_head\.weight in model\.safetensors is of type"):
        check_folder(tmp_path)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"is_encoder_decoder": True}, "is_encoder_decoder"),
        ({"text_config": {"model_type": "qwen2"}}, "more than text"),
    ],
)
def test_what_is_no_plain_language_model_is_refused(
    tmp_path: Path, fields: dict[str, Any], why: str
) -> None:
    save_qwen2(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))
    with pytest.raises(UsageError, match=why):
        check_folder(tmp_path)


def test_what_is_no_safetensors_file_is_refused(tmp_path: Path) -> None:
    save_qwen2(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"x" * 100)
    with pytest.raises(UsageError, match=r"model\.safetensors is no safetensors file"):
        check_folder(tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(UsageError, match=r"no safetensors but pytorch_model\.bin"):
        check_folder(tmp_path)
