"""Adapters: what learns is small, what it stands on never moves, peft reads what is published."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
)

from bus.memory.bus import MemoryBus
from tests.trainer.classroom import SIZE, Classroom, check_exactly_once
from tests.trainer.lessons import PARTS, TINY, batch, judgment
from trainer.checkpoint.probe import make_probe
from trainer.config import LearnerConfig, LoraConfig, OptimizerConfig
from trainer.filters.everything import AllConfig
from trainer.learner import Learner
from trainer.lora import save_description, targets_of, with_adapter
from trainer.optimizer import Optimizer
from trainer.seed_model import make_model, make_tokenizer, save_model
from trainer.updates.nll import NllConfig

LORA = LoraConfig(rank=3, alpha=6.0)
BATCHES = [batch([judgment(10 * number + index) for index in range(6)]) for number in range(3)]
SMALL = {"vocab_size": 64, "bos_token_id": None, "eos_token_id": 1}


def learner(config: LoraConfig = LORA, seed: int = 3) -> Learner:
    torch.set_num_threads(1)
    model = with_adapter(make_model(TINY, 3), config, seed)
    return Learner(
        model=model,
        optimizer=Optimizer(model, OptimizerConfig(adamw_lr=0.02)),
        filter=AllConfig().build(PARTS),
        update=NllConfig(steps=4, fresh_rows=6, replay_rows=2).build(PARTS),
        config=LearnerConfig(ema_decay=0.5, replay_capacity=8),
        seed=3,
        format="lora",
    )


def frozen(of: Learner) -> dict[str, Tensor]:
    named = of.model.named_parameters()
    return {name: value.detach().clone() for name, value in named if ".lora_" not in name}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_an_adapter_learns_from_nothing_and_leaves_the_base_alone() -> None:
    one = learner()
    base, ids = frozen(one), torch.arange(2, 20)[None]
    with torch.no_grad():
        assert torch.equal(one.model(ids).logits, make_model(TINY, 3)(ids).logits)
    first = one.learn(BATCHES[0], 1)
    for version in range(2, 8):
        last = one.learn(BATCHES[0], version)
    assert last["loss"] < first["loss"] - 0.1
    assert same(frozen(one), base)
    assert all(".lora_" in name for name in one.published())
    kept = sum(value.numel() for value in one.published().values())
    assert 3 * kept < sum(value.numel() for value in base.values())
    assert not [name for name in one.state() if name.startswith("muon.")]


def test_learning_goes_on_from_files_bit_by_bit(tmp_path: Path) -> None:
    whole, first, second = learner(), learner(), learner(seed=99)
    for number, each in enumerate(BATCHES):
        whole.learn(each, number + 1)
    first.learn(BATCHES[0], 1)
    save_file(first.published(), tmp_path / "model")
    save_file(first.state(), tmp_path / "state")
    second.restore(load_file(tmp_path / "model"), load_file(tmp_path / "state"), first.num_steps)
    for number in (1, 2):
        second.learn(BATCHES[number], number + 1)
    assert same(second.published(), whole.published())
    assert same(second.state(), whole.state())


class Adapting(Classroom):
    """A classroom whose learners train an adapter."""

    def _make_seed(self) -> Any:
        seeded = super()._make_seed()
        save_description(seeded.learner.model, seeded.folder)
        return seeded

    def _learner(self, model: torch.nn.Module) -> Learner:
        adapted = super()._learner(with_adapter(model, LORA, seed=3))
        adapted.format = "lora"
        return adapted


def test_versions_share_their_base_and_peft_reads_them(tmp_path: Path) -> None:
    room = Adapting(MemoryBus(), tmp_path)

    async def scenario() -> None:
        judged = await room.judge(0, SIZE)
        await room.teach(versions=2)
        judged += await room.judge(100, SIZE)
        await room.teach(versions=3)  # by a trainer that went on from the files
        check_exactly_once(room, judged)

    asyncio.run(scenario())
    folders = [room.folder / weights.location for weights in room.versions()]
    assert {weights.format for weights in room.versions()} == {"lora"}
    assert len({(folder / "model.safetensors").stat().st_ino for folder in folders}) == 1
    adapters = {(folder / "adapter/adapter_model.safetensors").read_bytes() for folder in folders}
    assert len(adapters) == 3
    for folder, weights in zip(folders, room.versions(), strict=True):
        assert {"adapter/adapter_config.json", "model.safetensors"} <= weights.files.keys()
        base = AutoModelForCausalLM.from_pretrained(folder)
        read = PeftModel.from_pretrained(base, str(folder / "adapter"))
        assert (folder / "probe.json").read_bytes() == make_probe(read, {})


@pytest.mark.parametrize(
    "model",
    [
        GPTNeoXForCausalLM(
            GPTNeoXConfig(
                **SMALL,
                hidden_size=16,
                intermediate_size=24,
                num_hidden_layers=2,
                num_attention_heads=2,
                max_position_embeddings=64,
            )
        ),
        GPT2LMHeadModel(GPT2Config(**SMALL, n_embd=16, n_layer=2, n_head=2, n_positions=16)),
    ],
)
def test_any_causal_model_gets_an_adapter_that_peft_reads(model: Any, tmp_path: Path) -> None:
    save_model(model, make_tokenizer(), tmp_path)
    adapted = with_adapter(model, LORA, seed=0)
    save_description(adapted, tmp_path)
    for name, value in adapted.named_parameters():
        if ".lora_B." in name:
            torch.nn.init.normal_(value)
    adapted.save_pretrained(str(tmp_path / "by peft"))
    described = (tmp_path / "adapter" / "adapter_config.json").read_text()
    (tmp_path / "by peft" / "adapter_config.json").write_text(described)
    base = AutoModelForCausalLM.from_pretrained(tmp_path)
    read = PeftModel.from_pretrained(base, str(tmp_path / "by peft"))
    assert make_probe(read, {}) == make_probe(adapted, {})


def test_targets_are_endings_of_layers_and_never_a_tied_head() -> None:
    model = make_model(TINY, 3)
    assert len(targets_of(model, LORA)) == 2 * 7
    chosen = targets_of(model, LoraConfig(rank=1, targets=("q_proj", "mlp.up_proj")))
    assert chosen == [
        f"model.layers.{layer}.{name}"
        for layer in (0, 1)
        for name in ("self_attn.q_proj", "mlp.up_proj")
    ]
    for wrong in ("lm_head", "embed_tokens", "proj", "query"):
        with pytest.raises(ValueError, match=f"no layer {wrong}: there are down_proj, gate_proj"):
            targets_of(model, LoraConfig(rank=1, targets=("q_proj", wrong)))
