"""vLLM against stock transformers: what it samples and says is what a full forward pass of the
version it names says, whatever is in flight when the weights change."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import psutil
import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from agents.engines.config import VllmConfig
from agents.engines.engine import Completion, Engine, EngineUnusable, Request, SwapRefused
from agents.policies.policy import sample
from tests.agents.engines.checkpoint.bad_checkpoints import BAD
from tests.agents.engines.checkpoint.tiny_checkpoint import (
    Checkpoint,
    digests,
    request,
    save_checkpoint,
)
from trainer.checkpoint.probe import PROBE, make_probe
from trainer.config import ModelConfig
from trainer.seed_model import make_tokenizer, save_model

pytestmark = pytest.mark.vllm

TOLERANCE = 1e-4
PROMPTS = ["r1>", "s987654321>", "rcanroyer>", "sabc>", "P"]


@asynccontextmanager
async def vllm(**settings: Any) -> AsyncIterator[Engine]:
    with ThreadPoolExecutor(max_workers=1) as executor:
        engine = VllmConfig(**{"cache_megabytes": 32, **settings}).build(executor, seed=0)
        try:
            yield engine
        finally:
            await engine.close()


class Reference:
    """Checkpoints as transformers reads them."""

    def __init__(self, checkpoints: Sequence[Checkpoint]) -> None:
        self._models = [AutoModelForCausalLM.from_pretrained(each.folder) for each in checkpoints]

    @torch.no_grad()
    def logprobs(
        self, which: int, prompt: Sequence[int], completion: Completion, temperature: float = 1.0
    ) -> list[float]:
        ids = torch.tensor([[*prompt, *completion.tokens]])
        logits = self._models[which](ids).logits[0, len(prompt) - 1 : -1] / temperature
        chosen = torch.tensor(completion.tokens)[:, None]
        return [float(value) for value in torch.log_softmax(logits, -1).gather(1, chosen)[:, 0]]

    def worst_error(
        self, asked: Request, completions: Sequence[Completion], num_checkpoints: int = 3
    ) -> float:
        """Of any token, under the version that its span names."""
        worst = 0.0
        for completion in completions:
            for span in completion.spans:
                which = span.version % num_checkpoints
                said = self.logprobs(
                    which, asked.prompt_tokens, completion, asked.temperature or 1.0
                )
                for place in range(span.start, span.end):
                    worst = max(worst, abs(said[place] - completion.logprobs[place]))
        return worst

    def greedy(self, which: int, prompt: Sequence[int], max_tokens: int) -> list[int]:
        ids = torch.tensor([prompt])
        made = self._models[which].generate(ids, max_new_tokens=max_tokens, do_sample=False)
        return [int(token) for token in made[0, len(prompt) :]]


@pytest.mark.parametrize("family", ["smollm3", "llama", "qwen3"])
def test_every_version_says_what_transformers_says(
    tmp_path: Path, family: Literal["smollm3", "llama", "qwen3"]
) -> None:
    checkpoints = [save_checkpoint(tmp_path / str(seed), seed, family) for seed in range(3)]

    async def scenario() -> None:
        reference = Reference(checkpoints)
        async with vllm() as engine:
            for version in range(4):
                checkpoint = checkpoints[version % 3]
                await engine.swap(version, checkpoint.folder, checkpoint.files)
                for text in PROMPTS:
                    asked = request(engine, text, max_tokens=24, temperature=0.0)
                    [completion] = await engine.generate(asked)
                    expected = reference.greedy(version % 3, asked.prompt_tokens, 24)
                    assert list(completion.tokens) == expected
                    assert reference.worst_error(asked, [completion]) < TOLERANCE
                for temperature in (1.0, 0.7):
                    asked = request(engine, n=16, max_tokens=24, temperature=temperature)
                    made = await engine.generate(asked)
                    assert reference.worst_error(asked, made) < TOLERANCE

    asyncio.run(scenario())


def test_tokens_of_256_requests_belong_to_the_versions_of_their_spans(
    checkpoints: list[Checkpoint],
) -> None:
    async def scenario() -> None:
        made: list[tuple[Request, Completion]] = []
        swapping = True

        async def ask(engine: Engine, index: int) -> None:
            """One request at a time, until the swaps are over."""
            while swapping:
                prompt = PROMPTS[index % 5]
                asked = request(engine, prompt, max_tokens=100, temperature=2.0, seed=len(made))
                [completion] = await engine.generate(asked)
                made.append((asked, completion))

        async with vllm() as engine:
            await engine.swap(0, checkpoints[0].folder, checkpoints[0].files)
            async with asyncio.TaskGroup() as group:
                for index in range(256):
                    group.create_task(ask(engine, index))
                in_flight = []
                for version in range(1, 21):
                    await asyncio.sleep(0.02)
                    checkpoint = checkpoints[version % 3]
                    report = await engine.swap(version, checkpoint.folder, checkpoint.files)
                    in_flight.append(report.in_flight)
                swapping = False
        assert in_flight[0] == 256
        assert min(in_flight) > 128
        assert len(made) >= 256
        reference = Reference(checkpoints)
        for asked, completion in made:
            assert len(completion.tokens) == completion.spans[-1].end
            assert reference.worst_error(asked, [completion]) < TOLERANCE
        assert max(len(completion.spans) for _, completion in made) > 5

    asyncio.run(scenario())


def test_no_version_reads_what_another_has_cached(tmp_path: Path) -> None:
    config = ModelConfig(max_positions=512)
    checkpoints = [save_checkpoint(tmp_path / str(seed), seed, config=config) for seed in (0, 1, 2)]

    async def scenario() -> None:
        reference = Reference(checkpoints)
        async with vllm() as engine:
            for version in range(5):
                checkpoint = checkpoints[version % 3]
                await engine.swap(version, checkpoint.folder, checkpoint.files)
                asked = request(engine, "rabcdefghij" * 30, n=2, max_tokens=12)
                made = [*await engine.generate(asked), *await engine.generate(asked)]
                assert reference.worst_error(asked, made) < TOLERANCE

    asyncio.run(scenario())


def test_a_bad_checkpoint_leaves_the_old_version_serving(tmp_path: Path) -> None:
    good = save_checkpoint(tmp_path / "root" / "good", 0)
    bad = [save_checkpoint(tmp_path / "root" / fault, 1) for fault in BAD]
    outside = save_checkpoint(tmp_path / "outside", 1)
    for checkpoint, edit in zip(bad, BAD.values(), strict=True):
        edit(checkpoint.folder)

    async def scenario() -> None:
        async with vllm(root=str(tmp_path / "root")) as engine:
            await engine.swap(0, good.folder, good.files)
            asked = request(engine, max_tokens=100, temperature=0.0)
            before = await engine.generate(asked)
            for checkpoint in [*bad, outside]:
                generating = asyncio.ensure_future(engine.generate(asked))
                await asyncio.sleep(0.01)
                with pytest.raises(SwapRefused):
                    await engine.swap(1, checkpoint.folder, digests(checkpoint.folder))
                assert engine.version == 0
                assert await generating == before
            with pytest.raises(SwapRefused, match="lies outside"):
                await engine.swap(1, tmp_path / "root" / ".." / "outside", outside.files)

    asyncio.run(scenario())


def with_probe(folder: Path, seed: int, probe_seed: int) -> Checkpoint:
    """A checkpoint whose probe is that of `probe_seed`."""
    made = save_checkpoint(folder, seed)
    other = save_checkpoint(folder.parent / f"{folder.name}-probed", probe_seed)
    model = AutoModelForCausalLM.from_pretrained(other.folder)
    (folder / PROBE).write_bytes(make_probe(model, dict(model.named_parameters())))
    return Checkpoint(folder=made.folder, files=digests(folder))


@pytest.mark.parametrize("inflight", ["keep", "wait"])
def test_a_version_that_fails_its_probe_is_never_seen(
    tmp_path: Path, inflight: Literal["keep", "wait"]
) -> None:
    versions = [
        with_probe(tmp_path / "0", 0, 0),
        with_probe(tmp_path / "1", 1, 2),
        with_probe(tmp_path / "2", 2, 2),
    ]

    async def scenario() -> None:
        async with vllm(inflight=inflight) as engine:
            with pytest.raises(SwapRefused, match="off"):
                await engine.swap(0, versions[1].folder, versions[1].files)
            assert engine.version == -1
            await engine.swap(0, versions[0].folder, versions[0].files)
            asked = [
                request(engine, text, n=4, max_tokens=100, temperature=2.0) for text in PROMPTS * 4
            ]
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(engine.generate(each)) for each in asked]
                await asyncio.sleep(0.1)
                with pytest.raises(SwapRefused, match="answer otherwise than published"):
                    await engine.swap(1, versions[1].folder, versions[1].files)
                assert engine.version == 0
                late = group.create_task(engine.generate(asked[0]))
            reference = Reference(versions)
            for each, task in [*zip(asked, tasks, strict=True), (asked[0], late)]:
                made = task.result()
                assert len(made) == 4
                assert {span.version for each in made for span in each.spans} == {0}
                assert reference.worst_error(each, made) < TOLERANCE
            report = await engine.swap(2, versions[2].folder, versions[2].files)
            assert report.to_version == 2
            made = await engine.generate(asked[0])
            assert reference.worst_error(asked[0], made) < TOLERANCE

    asyncio.run(scenario())


def test_requests_are_finished_before_a_swap_that_waits(checkpoints: list[Checkpoint]) -> None:
    async def scenario() -> None:
        async with vllm(inflight="wait") as engine:
            await engine.swap(0, checkpoints[0].folder, checkpoints[0].files)
            asked = request(engine, n=8, max_tokens=100, temperature=2.0)
            async with asyncio.TaskGroup() as group:
                early = group.create_task(engine.generate(asked))
                await asyncio.sleep(0.05)
                swap = group.create_task(
                    engine.swap(1, checkpoints[1].folder, checkpoints[1].files)
                )
                await asyncio.sleep(0.05)
                late = group.create_task(engine.generate(asked))
            assert swap.result().in_flight == 8
            assert {span.version for each in early.result() for span in each.spans} == {0}
            assert {span.version for each in late.result() for span in each.spans} == {1}

    asyncio.run(scenario())


def test_requests_that_a_swap_aborts_are_drawn_anew(checkpoints: list[Checkpoint]) -> None:
    async def scenario() -> None:
        async with vllm(inflight="abort") as engine:
            await engine.swap(0, checkpoints[0].folder, checkpoints[0].files)
            asked = request(engine, n=8, max_tokens=100, temperature=2.0)
            async with asyncio.TaskGroup() as group:
                cut = group.create_task(engine.generate(asked))
                drawn = group.create_task(
                    sample(engine, "rabcde>", 8, max_tokens=100, temperature=2.0)
                )
                await asyncio.sleep(0.1)
                await engine.swap(1, checkpoints[1].folder, checkpoints[1].files)
            assert "abort" in {each.finish_reason for each in cut.result()}
            assert any(each.tokens for each in cut.result())
            whole = [
                Completion(
                    tokens=turn.tokens,
                    logprobs=turn.logprobs,
                    finish_reason=turn.finish_reason,
                    spans=turn.spans,
                )
                for turn in drawn.result()
            ]
            reference = Reference(checkpoints)
            assert reference.worst_error(asked, cut.result()) < TOLERANCE
            assert reference.worst_error(asked, whole) < TOLERANCE
            assert {span.version for each in whole for span in each.spans} == {1}

    asyncio.run(scenario())


def test_two_engines_of_a_process_serve_versions_of_their_own(
    checkpoints: list[Checkpoint],
) -> None:
    async def scenario() -> None:
        with ThreadPoolExecutor(max_workers=1) as executor:
            config = VllmConfig(cache_megabytes=16)
            engines = [config.build(executor, seed=0) for _ in range(2)]
            for version, engine in enumerate(engines):
                await engine.swap(version, checkpoints[version].folder, checkpoints[version].files)
            asked = request(engines[0], n=4, max_tokens=20)
            answers = await asyncio.gather(
                *(engine.generate(asked) for engine in engines for _ in range(10))
            )
            reference = Reference(checkpoints)
            for index, made in enumerate(answers):
                assert {span.version for each in made for span in each.spans} == {index // 10}
                assert reference.worst_error(asked, made) < TOLERANCE
            await engines[0].close()
            made = await engines[1].generate(asked)
            assert reference.worst_error(asked, made) < TOLERANCE
            await engines[1].close()

    asyncio.run(scenario())


def test_a_process_of_its_own_keeps_the_same_promises(
    tmp_path: Path, checkpoints: list[Checkpoint]
) -> None:
    bad = with_probe(tmp_path / "bad", 1, 2)
    damaged = save_checkpoint(tmp_path / "damaged", 1)
    BAD["not a number"](damaged.folder)

    async def scenario() -> None:
        async with vllm(apart=True) as engine:
            await engine.swap(0, checkpoints[0].folder, checkpoints[0].files)
            asked = request(engine, n=32, max_tokens=100, temperature=2.0)
            reference = Reference(checkpoints)
            async with asyncio.TaskGroup() as group:
                task = group.create_task(engine.generate(asked))
                await asyncio.sleep(0.05)
                with pytest.raises(SwapRefused, match="not finite"):
                    await engine.swap(1, damaged.folder, digests(damaged.folder))
                with pytest.raises(SwapRefused, match="answer otherwise"):
                    await engine.swap(1, bad.folder, bad.files)
            assert {span.version for each in task.result() for span in each.spans} == {0}
            assert reference.worst_error(asked, task.result()) < TOLERANCE
            # The other process may begin late, or have ended when a swap reaches it.
            for number in range(1, 8):
                checkpoint = checkpoints[number % 3]
                async with asyncio.TaskGroup() as group:
                    task = group.create_task(engine.generate(asked))
                    await asyncio.sleep(0.05 * number)
                    report = await engine.swap(number, checkpoint.folder, checkpoint.files)
                served = {span.version for each in task.result() for span in each.spans}
                if served == {number - 1, number} and report.in_flight == 32:
                    break
            assert served == {number - 1, number}
            assert report.in_flight == 32
            assert reference.worst_error(asked, task.result()) < TOLERANCE
            # Nobody waits for ever for a process that has died.
            for child in psutil.Process().children(recursive=True):
                child.kill()
            async with asyncio.timeout(60):
                with pytest.raises(RuntimeError):
                    await engine.generate(asked)
                with pytest.raises(RuntimeError):
                    await engine.swap(number + 1, checkpoints[2].folder, checkpoints[2].files)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("config", "settings", "advice"),
    [
        (ModelConfig(heads=4, head_dim=16), {}, "heads of 32"),
        (ModelConfig(max_positions=8192), {"cache_megabytes": 1}, "engine.cache_megabytes"),
        (ModelConfig(), {"max_length": 4096}, "engine.max_length"),
    ],
)
def test_what_cannot_be_served_says_what_to_do(
    tmp_path: Path, config: ModelConfig, settings: dict[str, Any], advice: str
) -> None:
    checkpoint = save_checkpoint(tmp_path / "v", config=config)

    async def scenario() -> None:
        async with vllm(**settings) as engine:
            with pytest.raises(EngineUnusable, match=advice):
                await engine.swap(0, checkpoint.folder, checkpoint.files)

    asyncio.run(scenario())


def test_a_temperature_that_vllm_would_change_is_an_error_of_its_caller(
    checkpoints: list[Checkpoint],
) -> None:
    async def scenario() -> None:
        async with vllm() as engine:
            await engine.swap(0, checkpoints[0].folder, checkpoints[0].files)
            for temperature in (0.001, 2.1):
                with pytest.raises(ValueError, match=r"a temperature of 0 or from 0\.01 to 2"):
                    await engine.generate(request(engine, temperature=temperature))

    asyncio.run(scenario())


def test_the_process_draws_other_random_numbers_than_vllms(checkpoints: list[Checkpoint]) -> None:
    async def scenario() -> None:
        async with vllm() as engine:
            await engine.swap(0, checkpoints[0].folder, checkpoints[0].files)

    asyncio.run(scenario())
    assert random.random() != random.Random(0).random()


def test_tokens_that_the_tokenizer_has_not_are_never_drawn(padded: Checkpoint) -> None:
    model = AutoModelForCausalLM.from_pretrained(padded.folder)

    def check(asked: Request, one: Completion) -> None:
        assert max(one.tokens) < 64
        ids = torch.tensor([[*asked.prompt_tokens, *one.tokens]])
        with torch.no_grad():
            logits = model(ids).logits[0, len(asked.prompt_tokens) - 1 : -1, :64]
        said = torch.log_softmax(logits / (asked.temperature or 1.0), -1)
        chosen = said.gather(1, torch.tensor(one.tokens)[:, None])[:, 0]
        assert torch.allclose(chosen, torch.tensor(one.logprobs), atol=TOLERANCE)

    async def scenario() -> None:
        async with vllm() as engine:
            await engine.swap(0, padded.folder, padded.files)
            for temperature in (1.0, 0.5, 0.0):
                asked = request(engine, n=16, max_tokens=16, temperature=temperature)
                for one in await engine.generate(asked):
                    check(asked, one)

    asyncio.run(scenario())


@pytest.fixture(scope="module")
def padded(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """A model with 32 tokens more than its tokenizer, which it finds likelier than all others; its
    probe asks for them too."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("padded")
    sizes = {"hidden_size": 64, "intermediate_size": 48, "num_hidden_layers": 2}
    model = LlamaForCausalLM(
        LlamaConfig(vocab_size=96, num_attention_heads=2, eos_token_id=1, **sizes)
    )
    with torch.no_grad():
        model.lm_head.weight[64:] *= 50
    save_model(model, make_tokenizer(64), folder)
    (folder / PROBE).write_bytes(make_probe(model, dict(model.named_parameters())))
    return Checkpoint(folder=folder, files=digests(folder))
