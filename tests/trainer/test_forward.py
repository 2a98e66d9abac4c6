"""The padded forward pass against one plain pass per row."""

import math
from dataclasses import replace

import pytest
import torch

from tests.trainer.lessons import TINY
from trainer.forward import Forward, Padded, score
from trainer.rows import Row
from trainer.seed_model import make_model

ROWS = (
    Row(prompt=(31, 2, 27), completion=(2, 1), logprobs=(-0.5, -0.25), weight=1.5),
    Row(prompt=(31, 2, 3, 4, 5, 27), completion=(5, 4, 3, 2, 1), logprobs=(-0.1,) * 5),
    Row(prompt=(30,), completion=(1,), weight=-2.0),
)


@torch.no_grad()
def test_padding_changes_no_log_probability() -> None:
    model = make_model(TINY, seed=5)
    for value in model.parameters():
        value.mul_(8.0)  # far from uniform
    scored = score(model, ROWS)
    for index, row in enumerate(ROWS):
        alone = model(torch.tensor([row.prompt + row.completion])).logits[0].double()
        for place, token in enumerate(row.completion):
            logits = alone[len(row.prompt) + place - 1].tolist()
            top = max(logits)
            total = top + math.log(sum(math.exp(value - top) for value in logits))
            column = len(row.prompt) - 1 + place
            found = float(scored.logprobs_BT[index, column])
            assert found == pytest.approx(logits[token] - total, abs=1e-4)


def test_the_mask_covers_the_completions_alone() -> None:
    scored = score(make_model(TINY), ROWS)
    length = max(len(row.prompt) + len(row.completion) for row in ROWS) - 1
    for index, row in enumerate(ROWS):
        start = len(row.prompt) - 1
        end = start + len(row.completion)
        expected = [1.0 if start <= place < end else 0.0 for place in range(length)]
        assert scored.mask_BT[index].tolist() == expected
        behaviour = scored.behaviour_BT[index, start:end].tolist()
        assert behaviour == pytest.approx(row.logprobs or [0.0] * len(row.completion))
    assert scored.weights_B.tolist() == [1.5, 1.0, -2.0]


@torch.no_grad()
@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_nothing_is_left_for_tokens_that_are_never_drawn(temperature: float) -> None:
    model = make_model(TINY, seed=5)
    vocab = model.config.vocab_size
    unknown = (vocab - 1, vocab - 3)
    row = Row(prompt=(31, 2, 27), completion=(2, 1), temperature=temperature)
    forward = Forward(model, unknown)
    said_T = forward.logprobs(Padded.of([row], forward.device))[0, 2:]
    known = [token for token in range(vocab) if token not in unknown]
    logits_TV = model(torch.tensor([row.prompt + row.completion])).logits[0, 2:4] / temperature
    expected_TV = torch.log_softmax(logits_TV[:, known], -1)
    for place, token in enumerate(row.completion):
        expected = float(expected_TV[place, known.index(token)])
        assert float(said_T[place]) == pytest.approx(expected, abs=1e-5)
    drawn = Row(prompt=(31,), completion=(unknown[0],))
    assert torch.isfinite(forward.logprobs(Padded.of([drawn], forward.device))).all()


@torch.no_grad()
def test_how_far_apart_models_are_is_measured_over_what_was_sampled() -> None:
    model = make_model(TINY)
    scored = score(model, ROWS, None)
    apart = scored.apart()
    assert apart.reference is None and apart.behaviour is not None
    above = [
        float(scored.logprobs_BT[index, len(row.prompt) - 1 + place]) - logprob
        for index, row in enumerate(ROWS)
        for place, logprob in enumerate(row.logprobs)
    ]
    expected = sum(math.exp(one) - one - 1 for one in above) / len(above)
    assert apart.behaviour == pytest.approx(expected, rel=1e-5)
    same = replace(scored, reference_BT=scored.logprobs_BT).apart()
    assert same.reference == 0.0
