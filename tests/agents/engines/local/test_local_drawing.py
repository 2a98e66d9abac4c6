"""What is left of a distribution to draw from, against sums done by hand; log-probabilities are
those of what was drawn from."""

import asyncio
from math import exp
from pathlib import Path
from random import Random
from typing import Literal

import pytest
import torch
from transformers import AutoModelForCausalLM

from agents.engines.engine import Completion, Request
from agents.engines.local.batch import Batch
from agents.engines.local.exact import load
from agents.engines.local.sampling import Narrowing, Sampling, drawn
from tests.agents.engines.checkpoint.tiny_checkpoint import local_engine, save_checkpoint

CPU = torch.device("cpu")


def left_of(logits: list[float], temperature: float, top_p: float, top_k: int) -> dict[int, float]:
    """Probabilities of the tokens that are left, by the definition."""
    weights = {token: exp(value / temperature) for token, value in enumerate(logits)}
    ranked = sorted(weights, key=lambda token: (-weights[token], token))[: top_k or None]
    total, mass, kept = sum(weights[token] for token in ranked), 0.0, []
    for token in ranked:
        if top_p < 1 and mass >= top_p * total:
            break
        kept.append(token)
        mass += weights[token]
    return {token: weights[token] / mass for token in kept}


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
@pytest.mark.parametrize(
    ("top_p", "top_k"), [(1.0, 0), (0.9, 0), (0.3, 0), (1.0, 3), (0.8, 4), (1e-6, 0), (1.0, 99)]
)
def test_draws_are_from_what_is_left(temperature: float, top_p: float, top_k: int) -> None:
    random = Random(3)
    logits = [random.gauss(0, 2) for _ in range(12)]
    logits[5] = logits[7]  # as likely as each other
    expected = left_of(logits, temperature, top_p, top_k)
    count = 4000
    asked = Request(
        prompt_tokens=(1,), n=count, max_tokens=1, temperature=temperature, top_p=top_p, top_k=top_k
    )
    sampling = Sampling([asked], 1, torch.Generator().manual_seed(1), CPU)
    rows = torch.arange(count)
    tokens, logprobs = sampling.draw(torch.tensor([logits]).expand(count, -1), rows, 0)
    assert set(tokens.tolist()) <= expected.keys()
    for token, logprob in zip(tokens.tolist(), logprobs.exp().tolist(), strict=True):
        assert logprob == pytest.approx(expected[token], rel=1e-4)
    for token, share in expected.items():
        found = tokens.tolist().count(token) / count
        assert abs(found - share) < 5 * (share * (1 - share) / count) ** 0.5 + 1e-9


def test_every_request_of_a_batch_has_its_own_and_a_greedy_one_none(tmp_path: Path) -> None:
    checkpoint = save_checkpoint(tmp_path / "v", 1)
    model = AutoModelForCausalLM.from_pretrained(checkpoint.folder)
    ways = [
        {"temperature": 1.0},
        {"temperature": 0.7, "top_k": 2},
        {"temperature": 1.5, "top_p": 0.6},
        {"temperature": 0.0, "top_p": 0.1, "top_k": 1},
        {"temperature": 2.0, "top_p": 0.9, "top_k": 5},
    ]

    async def scenario() -> None:
        with local_engine(seed=4) as engine:
            await engine.swap(0, checkpoint.folder, checkpoint.files)
            asked = [
                Request(prompt_tokens=engine.encode("rabc>"), n=6, max_tokens=9, **way)  # type: ignore[arg-type]
                for way in ways
            ]
            answers = await asyncio.gather(*map(engine.generate, asked))
            for way, request, completions in zip(ways, asked, answers, strict=True):
                greedy = not way["temperature"]
                for each in completions:
                    ids = torch.tensor([[*request.prompt_tokens, *each.tokens]])
                    logits = model(ids).logits[0, len(request.prompt_tokens) - 1 : -1]
                    for place, token in enumerate(each.tokens):
                        left = left_of(
                            logits[place].tolist(),
                            way["temperature"] or 1.0,
                            1.0 if greedy else way.get("top_p", 1.0),
                            0 if greedy else int(way.get("top_k", 0)),
                        )
                        found = torch.tensor(each.logprobs[place]).exp()
                        assert float(found) == pytest.approx(left[token], rel=1e-3)

    with torch.no_grad():
        asyncio.run(scenario())


def test_no_tensor_is_made_where_the_model_is_not(tmp_path: Path) -> None:
    """A default device that can hold no values stands for any other one, as for the learner."""
    checkpoint = save_checkpoint(tmp_path / "v", 1)
    served = load(0, checkpoint.folder, checkpoint.files, None, "cpu")
    encode = served.prompting.encode
    asked = [
        Request(prompt_tokens=encode("rabc>"), n=4, max_tokens=20),
        Request(prompt_tokens=encode("r1>"), n=3, max_tokens=9, top_p=0.8, temperature=0.7),
        Request(prompt_tokens=encode("rabcdef>"), max_tokens=20, temperature=0.0, stop=("a",)),
    ]

    def made() -> list[object]:
        batch = Batch(served, asked, torch.Generator().manual_seed(1))
        ended = []
        while True:
            if batch.sample():
                ended += batch.collect()
            if not batch.num_live:
                return [*sorted(ended)]
            if batch.num_steps == 5:
                batch.recompute(served)
            else:
                batch.forward()

    expected = made()
    assert len(expected) == len(asked)
    with torch.device("meta"):
        assert made() == expected


@pytest.mark.parametrize("family", ["smollm3", "llama"])
@pytest.mark.parametrize("steps", [1, 4, 12])
def test_a_request_that_nobody_waits_for_leaves_the_others_as_they_are(
    tmp_path: Path, family: Literal["smollm3", "llama"], steps: int
) -> None:
    checkpoint = save_checkpoint(tmp_path / "v", 1, family)
    served = load(0, checkpoint.folder, checkpoint.files, None, "cpu")
    encode = served.prompting.encode
    kept = Request(prompt_tokens=encode("rabc>"), n=3, max_tokens=20, seed=5)
    dropped = Request(prompt_tokens=encode("r1>"), n=4, max_tokens=9)

    def made(asked: list[Request], *, drop: bool) -> list[tuple[int, list[Completion]]]:
        batch = Batch(served, asked, torch.Generator().manual_seed(1))
        ended = []
        while True:
            if batch.sample():
                ended += batch.collect()
            if drop and batch.num_steps == steps:
                batch.drop(1)
            if not batch.num_live:
                return ended
            batch.forward()

    [(_, alone)] = made([kept], drop=False)
    of_kept = dict(made([kept, dropped], drop=True))[0]
    assert [each.tokens for each in of_kept] == [each.tokens for each in alone]


@pytest.mark.parametrize("vocab", [300, 4999])
def test_a_token_is_drawn_where_its_number_falls_in_the_sum(vocab: int) -> None:
    torch.manual_seed(5)
    shares = torch.softmax(3 * torch.randn(40, vocab), -1)
    shares[:, ::3] = 0
    numbers = torch.rand(40, dtype=torch.float64)
    numbers[0], numbers[1] = 0.0, 1 - 2**-52
    tokens = drawn(shares, numbers)
    cumulative = shares.double().cumsum(-1)
    for row, token in enumerate(tokens.tolist()):
        assert shares[row, token] > 0
        target = numbers[row] * cumulative[row, -1]
        assert cumulative[row, token] - shares[row, token] <= target + 1e-12
        assert target <= cumulative[row, token] + 1e-12


@pytest.mark.parametrize(
    ("top_p", "top_k"), [(0.5, 0), (0.999, 0), (1.0, 7), (1.0, 1200), (0.9, 900), (0.2, 2990)]
)
def test_of_a_large_vocabulary_as_much_is_left_as_of_a_small_one(top_p: float, top_k: int) -> None:
    random = Random(6)
    # Many that are as likely as each other, at every border.
    logits = [round(random.gauss(0, 1), 1) for _ in range(3000)]
    asked = Request(prompt_tokens=(1,), n=2, max_tokens=1, top_p=top_p, top_k=top_k)
    left = Narrowing([asked], CPU).left(torch.tensor([logits, logits]), torch.arange(2))
    expected = left_of(logits, 1.0, top_p, top_k)
    for row in left.tolist():
        found = {token for token, value in enumerate(row) if value > -torch.inf}
        assert len(found ^ expected.keys()) <= (top_p < 1)
