"""The local engine against stock transformers: what it samples and says is what a full forward
pass of the same weights says, whatever batch, length, temperature or swap."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from agents.engines.engine import Completion, Request, Swap, SwapRefused, Unservable
from tests.agents.engines.checkpoint.bad_checkpoints import BAD
from tests.agents.engines.checkpoint.tiny_checkpoint import (
    Checkpoint,
    digests,
    local_engine,
    reference_logprobs,
    save_checkpoint,
)
from trainer.checkpoint.probe import PROBE, make_probe
from trainer.config import ModelConfig
from trainer.seed_model import make_tokenizer, save_model

PROMPTS = ["r1>", "s987654321>", "rcanroyer>", "sabc>", "rcanroyer>", "P"]
TOLERANCE = 1e-4


def worst_error(
    folder: Path, request: Request, completions: list[Completion], temperature: float = 1.0
) -> float:
    return max(
        abs(ours - theirs)
        for completion in completions
        for ours, theirs in zip(
            completion.logprobs,
            reference_logprobs(folder, request.prompt_tokens, completion, temperature),
            strict=True,
        )
    )


@pytest.mark.parametrize("family", ["smollm3", "llama", "qwen3"])
@pytest.mark.parametrize("prompts", [PROMPTS, ["rabc>", "sdef>", "rabc>"]])
def test_logprobs_are_those_of_a_full_forward(
    tmp_path: Path, family: Literal["smollm3", "llama", "qwen3"], prompts: list[str]
) -> None:
    checkpoint = save_checkpoint(tmp_path / "v", 1, family)
    temperatures = [1.0, 0.7, 0.0]

    async def scenario() -> None:
        with local_engine() as engine:
            await engine.swap(0, checkpoint.folder, checkpoint.files)
            requests = [
                Request(
                    prompt_tokens=engine.encode(prompt),
                    n=3,
                    max_tokens=3 + 7 * (index % 4),
                    temperature=temperatures[index % 3],
                )
                for index, prompt in enumerate(prompts)
            ]
            answers = await asyncio.gather(*map(engine.generate, requests))
            for request, completions in zip(requests, answers, strict=True):
                error = worst_error(
                    checkpoint.folder, request, completions, request.temperature or 1.0
                )
                assert error < TOLERANCE

    asyncio.run(scenario())


@pytest.mark.parametrize("family", ["smollm3", "llama", "qwen3"])
def test_greedy_is_what_transformers_generates(
    tmp_path: Path, family: Literal["smollm3", "llama", "qwen3"]
) -> None:
    checkpoint = save_checkpoint(tmp_path / "v", 2, family)
    model = AutoModelForCausalLM.from_pretrained(checkpoint.folder)
    tokenizer = AutoTokenizer.from_pretrained(checkpoint.folder)

    async def scenario() -> None:
        with local_engine() as engine:
            await engine.swap(0, checkpoint.folder, checkpoint.files)
            answers = await asyncio.gather(
                *(
                    engine.generate(
                        Request(prompt_tokens=engine.encode(each), max_tokens=24, temperature=0.0)
                    )
                    for each in PROMPTS
                )
            )
            for prompt, [completion] in zip(PROMPTS, answers, strict=True):
                inputs = tokenizer(prompt, return_tensors="pt")
                assert inputs.input_ids[0].tolist() == list(engine.encode(prompt))
                output = model.generate(**inputs, max_new_tokens=24, do_sample=False)[0]
                assert list(completion.tokens) == output[inputs.input_ids.shape[1] :].tolist()
                assert engine.decode(completion.tokens) == tokenizer.decode(
                    completion.tokens, skip_special_tokens=True
                )

    asyncio.run(scenario())


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_samples_follow_the_distribution(tmp_path: Path, temperature: float) -> None:
    checkpoint = save_checkpoint(tmp_path / "v", 3)
    num_samples = 8000

    async def scenario() -> None:
        with local_engine(seed=11) as engine:
            await engine.swap(0, checkpoint.folder, checkpoint.files)
            prompt = engine.encode("rabc>")
            asked = Request(
                prompt_tokens=prompt, n=num_samples, max_tokens=1, temperature=temperature
            )
            drawn = torch.tensor([each.tokens[0] for each in await engine.generate(asked)])
            model = AutoModelForCausalLM.from_pretrained(checkpoint.folder)
            logits = model(torch.tensor([prompt])).logits[0, -1].detach() / temperature
            expected = torch.softmax(logits, -1) * num_samples
            counts = torch.bincount(drawn, minlength=64).float()
            common = expected > 20
            assert common.sum() > 3
            statistic = ((counts - expected) ** 2 / expected)[common].sum()
            degrees = float(common.sum())
            assert statistic < degrees + 5 * (2 * degrees) ** 0.5

    asyncio.run(scenario())


@pytest.mark.parametrize("inflight", ["wait", "keep"])
@pytest.mark.parametrize("family", ["smollm3", "qwen3"])
def test_every_token_belongs_to_the_version_of_its_span(
    tmp_path: Path,
    inflight: Literal["wait", "keep"],
    family: Literal["smollm3", "qwen3"],
) -> None:
    versions = [save_checkpoint(tmp_path / str(seed), seed, family) for seed in range(3)]

    async def scenario() -> None:
        with local_engine(inflight=inflight) as engine:
            await engine.swap(0, versions[0].folder, versions[0].files)
            requests = [
                Request(prompt_tokens=engine.encode(prompt), n=24, max_tokens=100, temperature=0.9)
                for prompt in PROMPTS
            ]
            reports: list[Swap] = []

            def met_rows() -> int:
                return sum(report.in_flight > 0 for report in reports)

            async def caller(request: Request) -> list[Completion]:
                """The last that was drawn before the swaps were over, and what crosses them."""
                kept: list[Completion] = []
                while True:
                    made = await engine.generate(request)
                    kept += [one for one in made if len(one.spans) > 1][:3]
                    if met_rows() == 2:
                        return [*kept, *made[::8]]

            async def swapper() -> None:
                for number in range(1, 100):
                    await asyncio.sleep(0.03)
                    checkpoint = versions[number % 3]
                    reports.append(await engine.swap(number, checkpoint.folder, checkpoint.files))
                    if met_rows() == 2:
                        return

            *early, _ = await asyncio.gather(*map(caller, requests), swapper())
            late = (await engine.generate(requests[0]))[::8]
            crossing = 0
            for request, made in [*zip(requests, early, strict=True), (requests[0], late)]:
                for completion in made or ():
                    crossing += len(completion.spans) > 1
                    for span in completion.spans:
                        folder = versions[span.version % 3].folder
                        expected = reference_logprobs(
                            folder, request.prompt_tokens, completion, 0.9
                        )
                        for place in range(span.start, span.end):
                            near = pytest.approx(expected[place], rel=TOLERANCE, abs=TOLERANCE)
                            assert completion.logprobs[place] == near
            assert {span.version for each in late for span in each.spans} == {len(reports)}
            assert (crossing > 0) == (inflight == "keep")

    asyncio.run(scenario())


# A first checkpoint decides what the later ones must fit.
LATER_ONLY = ("another tokenizer", "positions encoded")


@pytest.mark.parametrize(
    ("fault", "first"),
    [(fault, False) for fault in BAD] + [(f, True) for f in BAD if f not in LATER_ONLY],
)
def test_refuses_a_checkpoint_that_does_not_fit(tmp_path: Path, fault: str, first: bool) -> None:
    good, bad = save_checkpoint(tmp_path / "0", 0), save_checkpoint(tmp_path / "1", 1)
    BAD[fault](bad.folder)

    async def scenario() -> None:
        with local_engine() as engine:
            if first:
                with pytest.raises(SwapRefused):
                    await engine.swap(1, bad.folder, digests(bad.folder))
                assert engine.version == -1
                await engine.swap(0, good.folder, good.files)
            else:
                await engine.swap(0, good.folder, good.files)
            asked = Request(prompt_tokens=engine.encode("rabc>"), max_tokens=9, temperature=0.0)
            before = await engine.generate(asked)
            with pytest.raises(SwapRefused):
                await engine.swap(1, bad.folder, digests(bad.folder))
            assert engine.version == 0
            assert await engine.generate(asked) == before

    asyncio.run(scenario())


def test_an_error_in_the_compute_thread_reaches_its_callers(tmp_path: Path) -> None:
    checkpoint = save_checkpoint(tmp_path / "v", config=ModelConfig(max_positions=2**50))

    async def scenario() -> None:
        with local_engine() as engine:
            await engine.swap(0, checkpoint.folder, checkpoint.files)
            prompt = engine.encode("rabc>")
            too_much = [Request(prompt_tokens=prompt, max_tokens=2**45)] * 3
            ends = await asyncio.wait_for(
                asyncio.gather(*map(engine.generate, too_much), return_exceptions=True), 30
            )
            assert all(isinstance(end, Unservable) for end in ends)
            with pytest.raises(ValueError, match="vocabulary"):
                await engine.generate(Request(prompt_tokens=(258,), max_tokens=1))
            assert len(await engine.generate(Request(prompt_tokens=prompt, max_tokens=2))) == 1

    asyncio.run(scenario())


def test_a_compute_thread_that_is_gone_is_an_error(tmp_path: Path) -> None:
    checkpoint = save_checkpoint(tmp_path / "v")

    async def scenario() -> None:
        with local_engine() as engine:
            await engine.swap(0, checkpoint.folder, checkpoint.files)
        with pytest.raises(RuntimeError, match="shutdown"):
            await asyncio.wait_for(engine.generate(Request(prompt_tokens=(2,), max_tokens=1)), 10)

    asyncio.run(scenario())


def test_engines_share_one_compute_thread(tmp_path: Path) -> None:
    from agents.engines.local.engine import LocalEngine

    versions: list[Checkpoint] = [save_checkpoint(tmp_path / str(seed), seed) for seed in (0, 1)]

    async def scenario() -> None:
        with ThreadPoolExecutor(max_workers=1) as executor:
            engines = [LocalEngine(executor, max_rows=16), LocalEngine(executor, max_rows=16)]
            for engine, checkpoint in zip(engines, versions, strict=True):
                await engine.swap(0, checkpoint.folder, checkpoint.files)
            asked = Request(prompt_tokens=engines[0].encode("rabc>"), n=8, max_tokens=12)
            answers = await asyncio.gather(
                *(engine.generate(asked) for engine in engines for _ in range(10))
            )
            for index, completions in enumerate(answers):
                folder = versions[index // 10].folder
                assert worst_error(folder, asked, completions[:1]) < TOLERANCE

    asyncio.run(scenario())


def with_probe(checkpoint: Checkpoint, off: float = 0.0) -> Checkpoint:
    """The checkpoint with what its model says of a few tokens, changed by `off`."""
    model = AutoModelForCausalLM.from_pretrained(checkpoint.folder)
    said = json.loads(make_probe(model, dict(model.named_parameters())))
    said["probes"][-1]["logprobs"][-1] += off
    (checkpoint.folder / PROBE).write_text(json.dumps(said))
    return Checkpoint(folder=checkpoint.folder, files=digests(checkpoint.folder))


def test_a_version_that_says_other_than_published_is_refused_first_and_later(
    tmp_path: Path,
) -> None:
    good = [with_probe(save_checkpoint(tmp_path / f"good{seed}", seed)) for seed in (1, 2)]
    bad = with_probe(save_checkpoint(tmp_path / "bad", 3), off=0.01)

    async def scenario() -> None:
        with local_engine() as engine:
            with pytest.raises(SwapRefused, match="answer otherwise than published"):
                await engine.swap(0, bad.folder, bad.files)
            assert engine.version == -1
            await engine.swap(1, good[0].folder, good[0].files)
            with pytest.raises(SwapRefused, match="answer otherwise than published"):
                await engine.swap(2, bad.folder, bad.files)
            assert engine.version == 1
            assert (await engine.swap(3, good[1].folder, good[1].files)).to_version == 3

    asyncio.run(scenario())


@pytest.mark.parametrize("temperature", [1.0, 0.0])
def test_tokens_that_the_tokenizer_has_not_are_never_drawn(
    tmp_path: Path, temperature: float
) -> None:
    torch.manual_seed(0)
    fields = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "vocab_size": 96}
    model = LlamaForCausalLM(LlamaConfig(num_attention_heads=2, eos_token_id=1, **fields)).eval()
    with torch.no_grad():
        model.lm_head.weight[64:] *= 50
    files = save_model(model, make_tokenizer(64), tmp_path / "padded")

    async def scenario() -> None:
        with local_engine() as engine:
            await engine.swap(0, tmp_path / "padded", files)
            asked = Request(
                prompt_tokens=engine.encode("r12>"), n=64, max_tokens=16, temperature=temperature
            )
            for one in await engine.generate(asked):
                assert max(one.tokens) < 64
                ids = torch.tensor([[*asked.prompt_tokens, *one.tokens]])
                with torch.no_grad():
                    logits = model(ids).logits[0, len(asked.prompt_tokens) - 1 : -1, :64]
                said = torch.log_softmax(logits, -1)
                chosen = said.gather(1, torch.tensor(one.tokens)[:, None])[:, 0]
                assert torch.allclose(chosen, torch.tensor(one.logprobs), atol=TOLERANCE)

    asyncio.run(scenario())


def test_a_window_that_nobody_tried_is_refused_by_name(tmp_path: Path) -> None:
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=64, **sizes))
    model.config.sliding_window = 8
    files = save_model(model, make_tokenizer(64), tmp_path / "own")

    async def scenario() -> None:
        why = "kind 'llama' with sliding_window = 8"
        with local_engine() as engine, pytest.raises(SwapRefused, match=why):
            await engine.swap(0, tmp_path / "own", files)

    asyncio.run(scenario())


def test_how_likely_answers_are_that_nobody_drew_is_what_a_full_forward_says(
    tmp_path: Path,
) -> None:
    checkpoint = save_checkpoint(tmp_path, seed=4)
    answers = ["b", "", "never drawn"]

    async def scenario() -> None:
        with local_engine() as engine:
            await engine.swap(0, checkpoint.folder, checkpoint.files)
            found = await engine.log_likelihoods("rab>", answers)
            for answer, said in zip(answers, found, strict=True):
                tokens = (*(engine.encode(answer) if answer else ()), 1)
                whole = Completion(tokens=tokens, logprobs=(), finish_reason="stop", spans=())
                expected = sum(reference_logprobs(tmp_path, engine.encode("rab>"), whole))
                assert said == pytest.approx(expected, abs=TOLERANCE)

    asyncio.run(scenario())
