"""Versions that are adapters: every engine serves what peft computes, or refuses."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import GPT2Config, GPT2LMHeadModel

from agents.engines.checkpoint.adapter import merged
from agents.engines.engine import Completion, Engine, SwapRefused
from tests.agents.engines.checkpoint.adapted_checkpoint import (
    LORA,
    listed,
    read_by_peft,
    save_adapted,
)
from tests.agents.engines.checkpoint.tiny_checkpoint import (
    Checkpoint,
    Open,
    local_engine,
    request,
    save_checkpoint,
)
from tests.agents.engines.conftest import open_keeping, open_server, open_vllm, open_waiting
from trainer.lora import with_adapter

PROMPTS = ["r1>", "s987654321>", "rcanroyer>"]
TENSORS, CONFIG = "adapter/adapter_model.safetensors", "adapter/adapter_config.json"
Q_PROJ = "base_model.model.model.layers.0.self_attn.q_proj"


@torch.no_grad()
def logprobs(model: Any, prompt: tuple[int, ...], completion: Completion) -> list[float]:
    ids = torch.tensor([[*prompt, *completion.tokens]])
    said = torch.log_softmax(model(ids).logits[0, len(prompt) - 1 : -1], -1)
    return [float(each) for each in said.gather(1, torch.tensor(completion.tokens)[:, None])[:, 0]]


async def check_greedy(engine: Engine, model: Any) -> list[tuple[int, ...]]:
    """What the engine says is what `model` says, token for token."""
    answers = []
    for text in PROMPTS:
        asked = request(engine, text, max_tokens=24, temperature=0.0)
        [completion] = await engine.generate(asked)
        ids = torch.tensor([asked.prompt_tokens])
        made = model.generate(input_ids=ids, max_new_tokens=24, do_sample=False)
        assert completion.tokens == tuple(made[0, ids.shape[1] :].tolist())
        expected = logprobs(model, asked.prompt_tokens, completion)
        assert completion.logprobs == pytest.approx(expected, abs=1e-4)
        answers.append(completion.tokens)
    return answers


@pytest.mark.parametrize("opener", [open_waiting, open_keeping, open_server])
@pytest.mark.parametrize("family", ["smollm3", "llama", "qwen3"])
def test_an_adapter_is_served_as_peft_computes_it(
    tmp_path: Path, family: Literal["smollm3", "llama", "qwen3"], opener: Open
) -> None:
    versions = [save_adapted(tmp_path / str(seed), seed, family) for seed in (1, 2)]
    base = save_checkpoint(tmp_path / "base", 0, family)

    async def scenario() -> None:
        async with opener() as engine:
            answers = []
            for number, version in enumerate([*versions, versions[0]]):
                await engine.swap(number, version.folder, version.files)
                answers.append(await check_greedy(engine, read_by_peft(version.folder)))
            assert answers[0] == answers[2] != answers[1]
            # Of a folder without an adapter the weights are those of its file alone.
            await engine.swap(3, base.folder, base.files)
            plain = read_by_peft(versions[0].folder).unload()
            assert await check_greedy(engine, plain) not in answers

    asyncio.run(scenario())


def test_layers_that_keep_their_weights_transposed_are_merged_too(tmp_path: Path) -> None:
    config = GPT2Config(
        vocab_size=64, n_embd=16, n_layer=2, n_head=2, bos_token_id=None, eos_token_id=1
    )
    base = GPT2LMHeadModel(config)
    parameters = {name: value.detach().clone() for name, value in base.named_parameters()}
    adapted = with_adapter(base, LORA, seed=0)
    for name, value in adapted.named_parameters():
        if ".lora_B." in name:
            torch.nn.init.normal_(value)
    adapted.save_pretrained(str(tmp_path / "adapter"))
    contents = {name: (tmp_path / name).read_bytes() for name in (CONFIG, TENSORS)}
    result = merged(parameters, contents)
    changed = [name for name in parameters if not torch.equal(result[name], parameters[name])]
    assert len(changed) == 2 * 4
    expected = dict(adapted.merge_and_unload().named_parameters())
    assert result.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(result[name], value.detach())


@pytest.mark.vllm
@pytest.mark.parametrize(
    "family",
    [
        "smollm3",
        pytest.param("llama", marks=pytest.mark.long),
        pytest.param("qwen3", marks=pytest.mark.long),
    ],
)
def test_vllm_says_after_every_swap_what_peft_says(
    tmp_path: Path, family: Literal["smollm3", "llama", "qwen3"]
) -> None:
    versions = [save_adapted(tmp_path / str(seed), seed, family) for seed in (1, 2)]
    bad = save_adapted(tmp_path / "bad", 3, family)
    edit_config(use_dora=True)(bad.folder)

    async def scenario() -> None:
        async with open_vllm() as engine:
            answers = []
            for number, version in enumerate([*versions, versions[0]]):
                await engine.swap(number, version.folder, version.files)
                answers.append(await check_greedy(engine, read_by_peft(version.folder)))
            assert answers[0] == answers[2] != answers[1]
            with pytest.raises(SwapRefused, match="use_dora"):
                await engine.swap(3, bad.folder, listed(bad.folder).files)
            assert await check_greedy(engine, read_by_peft(versions[0].folder)) == answers[0]

    asyncio.run(scenario())


def edit_config(**fields: object) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        path = folder / CONFIG
        path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))

    return edit


def edit_tensors(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        tensors = load_file(folder / TENSORS)
        change(tensors)
        save_file(tensors, folder / TENSORS)

    return edit


def pair(layer: str, rows: int, columns: int, rank: int = LORA.rank) -> dict[str, torch.Tensor]:
    return {
        f"base_model.model.{layer}.lora_A.weight": torch.ones(rank, columns),
        f"base_model.model.{layer}.lora_B.weight": torch.ones(rows, rank),
    }


BAD: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no LoRA": (edit_config(peft_type="IA3"), "no plain LoRA"),
    "another kind": (edit_config(use_dora=True), "sets use_dora"),
    "another scale": (edit_config(use_rslora=True), "sets use_rslora"),
    "ranks by layer": (edit_config(rank_pattern={"q_proj": 2}), "sets rank_pattern"),
    "scales by layer": (edit_config(alpha_pattern={"q_proj": 2}), "sets alpha_pattern"),
    "whole modules": (edit_config(modules_to_save=["lm_head"]), "sets modules_to_save"),
    "biases": (edit_config(bias="all"), "no plain LoRA"),
    "another base": (edit_config(init_lora_weights="pissa"), "no plain LoRA"),
    "what nobody knows": (edit_config(invented="x"), "sets invented"),
    "no rank": (edit_config(r=0), "no r or no lora_alpha"),
    "another rank": (edit_config(r=3), "not rank 3"),
    "no scale": (edit_config(lora_alpha=None), "no r or no lora_alpha"),
    "an endless scale": (edit_config(lora_alpha=float("inf")), "not finite"),
    "configuration no JSON": (lambda folder: (folder / CONFIG).write_text("{"), "is not JSON"),
    "no configuration": (lambda folder: (folder / CONFIG).unlink(), "without the other file"),
    "no tensors": (lambda folder: (folder / TENSORS).unlink(), "without the other file"),
    "no safetensors": (lambda folder: (folder / TENSORS).write_bytes(b"x"), "cannot be read"),
    "nothing": (edit_tensors(lambda t: t.clear()), "is empty"),
    "a tied head": (edit_tensors(lambda t: t.update(pair("lm_head", 64, 64))), "no weights"),
    "an unknown layer": (edit_tensors(lambda t: t.update(pair("model.x", 64, 64))), "no weights"),
    "a norm": (edit_tensors(lambda t: t.update(pair("model.norm", 64, 1))), r"has \[64\]"),
    "an embedding": (
        edit_tensors(lambda t: t.update({"base_model.model.x.lora_embedding_A": torch.ones(4)})),
        "no part of plain LoRA",
    ),
    "half a layer": (edit_tensors(lambda t: t.pop(f"{Q_PROJ}.lora_B.weight")), "one matrix"),
    "another shape": (
        edit_tensors(lambda t: t.update({f"{Q_PROJ}.lora_A.weight": torch.ones(4, 63)})),
        r"is \[64, 63\], the model has \[64, 64\]",
    ),
    "no number": (
        edit_tensors(lambda t: t[f"{Q_PROJ}.lora_A.weight"].fill_(float("nan"))),
        "not finite",
    ),
}


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return save_adapted(tmp_path_factory.mktemp("good"), 1)


@pytest.mark.parametrize("fault", BAD)
def test_what_is_no_plain_adapter_of_the_model_is_refused(
    tmp_path: Path, good: Checkpoint, fault: str
) -> None:
    edit, why = BAD[fault]
    bad = save_adapted(tmp_path / "bad", 2).folder
    edit(bad)

    async def scenario() -> None:
        with local_engine() as engine:
            await engine.swap(0, good.folder, good.files)
            asked = request(engine, max_tokens=12, temperature=0.0)
            before = await engine.generate(asked)
            with pytest.raises(SwapRefused, match=why):
                await engine.swap(1, bad, listed(bad).files)
            assert await engine.generate(asked) == before

    asyncio.run(scenario())


def test_an_adapter_that_was_changed_on_its_way_is_refused(
    tmp_path: Path, good: Checkpoint
) -> None:
    changed = save_adapted(tmp_path / "changed", 2)
    edit_tensors(lambda t: t[f"{Q_PROJ}.lora_A.weight"].mul_(2.0))(changed.folder)

    async def scenario() -> None:
        with local_engine() as engine:
            await engine.swap(0, good.folder, good.files)
            with pytest.raises(SwapRefused, match=r"adapter_model\.safetensors in .* has sha256"):
                await engine.swap(1, changed.folder, changed.files)
            assert engine.version == 0

    asyncio.run(scenario())
