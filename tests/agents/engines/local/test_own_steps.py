"""Steps of the engine's own: what prompts share is read once, and every token is still what a plain
forward pass of transformers says."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM

from agents.engines.engine import Completion, Request, SwapRefused
from agents.engines.local.batch import Batch
from agents.engines.local.exact import load
from agents.engines.local.kinds import OWN
from agents.engines.local.own import OwnModel
from agents.engines.local.served import Served
from agents.engines.local.stack import Stack
from evolvent.given.own_model import load_model
from tests.agents.engines.checkpoint.adapted_checkpoint import (
    listed,
    read_by_peft,
    save_adapted,
)
from tests.agents.engines.checkpoint.tiny_checkpoint import (
    Checkpoint,
    local_engine,
    reference_logprobs,
    save_checkpoint,
)
from tests.evolvent.kinds import save_kind
from trainer.seed_model import make_tokenizer, save_model

TOLERANCE = 1e-4
BEGINNING = "scanroyerbbb" * 3


def loaded(checkpoint: Checkpoint, current: Served | None = None, version: int = 0) -> Served:
    return load(version, checkpoint.folder, checkpoint.files, current, "cpu")


def made(served: Served, requests: list[Request]) -> list[tuple[Request, Completion]]:
    """All completions, whichever group ends first."""
    batch = Batch(served, requests, torch.Generator().manual_seed(1))
    ended: list[tuple[int, list[Completion]]] = []
    while True:
        if batch.sample():
            ended += batch.collect()
        if not batch.num_live:
            return [(requests[index], one) for index, group in ended for one in group]
        batch.forward()


def worst(folder: Path, answers: list[tuple[Request, Completion]]) -> float:
    return max(
        abs(ours - theirs)
        for request, one in answers
        for ours, theirs in zip(
            one.logprobs, reference_logprobs(folder, request.prompt_tokens, one), strict=True
        )
    )


@pytest.fixture
def tokens_read(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many tokens went through the layers, pass by pass."""
    counts: list[int] = []
    run = Stack.run

    def counted(self: Stack, ids_M: torch.Tensor, *more: Any, **named: Any) -> torch.Tensor:
        counts.append(len(ids_M))
        return run(self, ids_M, *more, **named)

    monkeypatch.setattr(Stack, "run", counted)
    yield counts


@pytest.mark.parametrize("kind", sorted(OWN))
def test_kinds_built_like_llama_are_served_in_steps_of_the_engines_own(
    tmp_path: Path, kind: str
) -> None:
    torch.manual_seed(4)
    sizes = {"hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "sliding_window": None}
    config = CONFIG_MAPPING[kind](vocab_size=64, pad_token_id=0, head_dim=12, **sizes, **heads)
    model = AutoModelForCausalLM.from_config(config)
    for value in model.parameters():
        torch.nn.init.normal_(value, std=0.3)
    files = save_model(model, make_tokenizer(64), tmp_path)
    served = load(0, tmp_path, files, None, "cpu")
    assert isinstance(served.model, OwnModel)
    asked = Request(prompt_tokens=served.prompting.encode("scanroyer>"), n=3, max_tokens=9)
    assert worst(tmp_path, made(served, [asked])) < TOLERANCE


@pytest.mark.parametrize("family", ["smollm3", "llama", "qwen3"])
def test_groups_of_many_sizes_say_what_a_full_forward_says_while_rows_end(
    tmp_path: Path, family: Literal["smollm3", "llama", "qwen3"], tokens_read: list[int]
) -> None:
    checkpoint = save_checkpoint(tmp_path / "v", 3, family)
    served = loaded(checkpoint)
    assert isinstance(served.model, OwnModel)
    texts = ["rabc>", "scanroyer>", "r1>", "rabcd>", "sab>", "rcba>", "P"]
    sizes = [1, 2, 3, 5, 8, 13, 7]
    requests = [
        Request(prompt_tokens=served.prompting.encode(text), n=n, max_tokens=4 + 5 * n)
        for text, n in zip(texts, sizes, strict=True)
    ]
    tokens_read.clear()
    answers = made(served, requests)
    assert tokens_read[0] == sum(len(request.prompt_tokens) for request in requests)
    assert tokens_read[1] == sum(sizes)
    # Rows that have ended are read no more.
    assert len({*tokens_read[1:]}) > 3
    assert len(answers) == sum(sizes)
    assert worst(checkpoint.folder, answers) < TOLERANCE


def test_what_prompts_begin_with_is_read_once_a_version(
    tmp_path: Path, tokens_read: list[int]
) -> None:
    versions = [save_checkpoint(tmp_path / str(seed), seed, "llama") for seed in (0, 1)]
    served = loaded(versions[0])
    asked = [
        Request(prompt_tokens=served.prompting.encode(BEGINNING + text), n=2, max_tokens=5)
        for text in ("r1>", "rabc>", "scanroyer>")
    ]
    begun = len(served.prompting.encode(BEGINNING))
    rests = [len(request.prompt_tokens) - begun for request in asked]
    for number, checkpoint in enumerate(versions):
        served = loaded(checkpoint, served if number else None, number)
        tokens_read.clear()
        answers = made(served, asked)
        assert tokens_read[:2] == [begun, sum(rests)]
        tokens_read.clear()
        answers += made(served, asked) + made(served, [replace(asked[0], n=3)])
        assert sum(rests) in tokens_read and rests[0] in tokens_read
        assert max(tokens_read) < begun
        assert worst(checkpoint.folder, answers) < TOLERANCE


def test_rows_that_go_on_under_other_weights_read_anew_what_they_share(tmp_path: Path) -> None:
    versions = [save_checkpoint(tmp_path / str(seed), seed, "qwen3") for seed in (0, 1)]
    before = loaded(versions[0])
    after = loaded(versions[1], before, 1)
    asked = [
        Request(prompt_tokens=before.prompting.encode(BEGINNING + text), n=n, max_tokens=16)
        for text, n in (("r1>", 3), ("rabc>", 4), ("scanroyer>", 1))
    ]
    batch = Batch(before, asked, torch.Generator().manual_seed(1))
    ended: list[tuple[int, list[Completion]]] = []
    while True:
        if batch.sample():
            ended += batch.collect()
        if not batch.num_live:
            break
        if batch.num_steps == 6:
            batch.recompute(after)
        else:
            batch.forward()
    crossed = 0
    for index, group in ended:
        for one in group:
            crossed += len(one.spans) > 1
            for span in one.spans:
                folder = versions[span.version].folder
                said = reference_logprobs(folder, asked[index].prompt_tokens, one)
                part = slice(span.start, span.end)
                assert one.logprobs[part] == pytest.approx(said[part], abs=TOLERANCE)
    assert crossed


def test_versions_that_are_adapters_share_the_weights_they_stand_on(tmp_path: Path) -> None:
    versions = [save_adapted(tmp_path / str(seed), seed, "llama") for seed in (1, 2)]
    served = [loaded(versions[0])]
    # The weights are in memory: the file is not looked at again.
    (versions[1].folder / "model.safetensors").write_bytes(b"")
    served.append(loaded(versions[1], served[0], 1))
    stacks = [each.model.stack for each in served if isinstance(each.model, OwnModel)]
    first, second = stacks
    assert first.embedding.data_ptr() == second.embedding.data_ptr()
    for ours, theirs in zip(first.layers, second.layers, strict=True):
        assert ours.qkv.weight.data_ptr() == theirs.qkv.weight.data_ptr()
        assert ours.down.weight.data_ptr() == theirs.down.weight.data_ptr()
    save_adapted(tmp_path / "2", 2, "llama")
    prompt = served[0].prompting.encode("scanroyer>")
    for version, checkpoint in zip(served, versions, strict=True):
        peft = read_by_peft(checkpoint.folder)
        for request, one in made(version, [Request(prompt_tokens=prompt, n=3, max_tokens=9)]):
            ids = torch.tensor([[*request.prompt_tokens, *one.tokens]])
            with torch.no_grad():
                said = torch.log_softmax(peft(ids).logits[0, len(prompt) - 1 : -1], -1)
            expected = said.gather(1, torch.tensor(one.tokens)[:, None])[:, 0].tolist()
            assert one.logprobs == pytest.approx(expected, abs=TOLERANCE)


def test_other_weights_to_stand_on_are_read(tmp_path: Path) -> None:
    adapted = save_adapted(tmp_path / "1", 1, "llama")
    other = save_checkpoint(tmp_path / "2", 5, "llama")
    served = loaded(other, loaded(adapted), 1)
    asked = Request(prompt_tokens=served.prompting.encode("rabc>"), n=2, max_tokens=6)
    assert worst(other.folder, made(served, [asked])) < TOLERANCE
    (tmp_path / "1" / "model.safetensors").write_bytes(b"x")
    with pytest.raises(SwapRefused, match=r"model\.safetensors in .* has sha256"):
        loaded(adapted, served, 2)


def test_products_of_16_bits_say_what_they_draw_from(tmp_path: Path) -> None:
    checkpoint = save_checkpoint(tmp_path / "v", 2, "llama")
    whole = loaded(checkpoint)
    half = load(0, checkpoint.folder, checkpoint.files, None, "cpu", "bfloat16")
    assert (whole.dtype, half.dtype) == ("float32", "bfloat16")
    assert isinstance(half.model, OwnModel)
    assert half.model.stack.layers[0].qkv.weight.dtype == torch.bfloat16
    asked = Request(prompt_tokens=whole.prompting.encode("rabc>"), n=16, max_tokens=8)
    for request, one in made(half, [asked]):
        ids_1T = torch.tensor([[*request.prompt_tokens, *one.tokens]])
        logits_TV = half.model.logits(ids_1T)[0, len(request.prompt_tokens) - 1 : -1]
        said_TV = torch.log_softmax(logits_TV, -1)
        expected = said_TV.gather(1, torch.tensor(one.tokens)[:, None])[:, 0].tolist()
        assert one.logprobs == pytest.approx(expected, abs=0.1)
    later = load(1, checkpoint.folder, checkpoint.files, half, "cpu", "bfloat16")
    assert later.dtype == "bfloat16"


def test_products_of_16_bits_are_refused_for_kinds_that_are_served_otherwise(
    tmp_path: Path,
) -> None:
    own = save_kind(tmp_path / "own", "gpt2")
    files = save_model(*load_model(own), tmp_path / "first")

    async def scenario() -> None:
        with (
            local_engine(dtype="bfloat16") as engine,
            pytest.raises(SwapRefused, match="leave it out for models of kind 'gpt2'"),
        ):
            await engine.swap(0, tmp_path / "first", files)

    asyncio.run(scenario())


def test_an_adapter_of_what_takes_none_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    good, bad = (save_adapted(tmp_path / str(seed), seed, "llama") for seed in (1, 2))
    path = bad.folder / "adapter" / "adapter_model.safetensors"
    tensors = load_file(path)
    vocab = len(load_file(bad.folder / "model.safetensors")["model.embed_tokens.weight"])
    for part, shape in (("A", (4, 32)), ("B", (vocab, 4))):
        tensors[f"base_model.model.model.embed_tokens.lora_{part}.weight"] = torch.ones(shape)
    save_file(tensors, path)
    served = loaded(good)
    with pytest.raises(SwapRefused, match=r"adapter changes model\.embed_tokens"):
        loaded(listed(bad.folder), served, 1)
