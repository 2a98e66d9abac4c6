"""Self-play fine-tuning: which pairs there are, and what is exactly true where it begins."""

import math
from itertools import pairwise
from random import Random

import pytest
import torch
from torch import Tensor

from tests.trainer.lessons import PARTS, batch, judgment, turn
from trainer.forward import Scored
from trainer.replay import Replay
from trainer.updates.spin import Spin, SpinConfig

BETA = 0.3
SPIN: Spin = SpinConfig(beta=BETA).build(PARTS)
WORDS = 5
DATA_V = torch.tensor([0.4, 0.3, 0.15, 0.1, 0.05], dtype=torch.float64)


def test_of_every_sample_the_data_are_chosen_and_its_own_answer_is_not() -> None:
    judged = judgment(21, [1.0, 0.0, 0.0])
    pairs = SPIN.pairs([judged])
    assert len(pairs) == 3
    for number, (pair, sample) in enumerate(zip(pairs, judged.attempt.samples, strict=True)):
        [own_turn] = sample.turns
        assert [row.completion for row in pair] == [PARTS.encode("12"), own_turn.tokens]
        assert [row.weight for row in pair] == [1.0, -1.0]
        assert {row.prompt for row in pair} == {own_turn.prompt_tokens}
        assert [row.group for row in pair] == [number, number]
        assert len({row.sample for row in pair}) == 2


def test_what_others_said_and_tasks_without_data_make_no_pair() -> None:
    judged = judgment(21, [0.0, 0.0])
    first, second = judged.attempt.samples
    frozen = turn([9, 1]).model_copy(update={"trainable": False})
    attempt = judged.attempt.model_copy(
        update={
            "samples": (
                first.model_copy(update={"turns": (frozen,)}),
                second.model_copy(update={"turns": (frozen, *second.turns)}),
            )
        }
    )
    [[_, own]] = SPIN.pairs([judged.model_copy(update={"attempt": attempt})])
    assert own.completion == second.turns[0].tokens
    task = judged.attempt.task.model_copy(update={"answer": ""})
    unknown = judged.attempt.model_copy(update={"task": task})
    assert SPIN.pairs([judged.model_copy(update={"attempt": unknown})]) == []


def test_the_verdicts_do_not_matter() -> None:
    pairs = [SPIN.pairs([judgment(21, rewards)]) for rewards in ([1.0, 0.0], [0.0, 0.0])]
    assert pairs[0] == pairs[1]


def test_steps_share_the_pairs_and_part_none() -> None:
    update = SpinConfig(steps=3).build(PARTS)
    given = batch([judgment(20 + index, [0.0, 0.0]) for index in range(4)])
    steps = list(update.steps(given, Replay(1), Random(1)))
    assert len(steps) == 3
    for rows in steps:
        groups = [row.group for row in rows]
        assert all(groups.count(group) == 2 for group in groups)
    assert len({row.group for rows in steps for row in rows}) == 8


def expected_loss(logits_V: Tensor, old_V: Tensor, data_V: Tensor) -> Tensor:
    """Over all pairs of one-token answers, the data's by `data_V`, its own by softmax(old)."""
    said_V, before_V = torch.log_softmax(logits_V, 0), torch.log_softmax(old_V, 0)
    total = torch.zeros((), dtype=torch.float64)
    for given in range(WORDS):
        for own in range(WORDS):
            pair = torch.tensor([given, own])
            scored = Scored(
                logprobs_BT=said_V[pair][:, None],
                behaviour_BT=torch.zeros(2, 1, dtype=torch.float64),
                weights_B=torch.tensor([1.0, -1.0], dtype=torch.float64),
                mask_BT=torch.ones(2, 1, dtype=torch.float64),
                reference_BT=before_V[pair][:, None],
                groups_B=torch.zeros(2, dtype=torch.long),
                samples_B=torch.tensor([0, 1]),
            )
            total = total + data_V[given] * before_V[own].exp() * SPIN(scored)
    return total


def logits(seed: int) -> Tensor:
    torch.manual_seed(seed)
    return torch.randn(WORDS, dtype=torch.float64)


def test_at_the_fixed_point_the_loss_is_ln_2_and_its_expected_gradient_zero() -> None:
    old_V = DATA_V.log()
    logits_V = old_V.clone().requires_grad_()
    loss = expected_loss(logits_V, old_V, DATA_V)
    [gradient] = torch.autograd.grad(loss, logits_V)
    assert float(loss.detach()) == pytest.approx(math.log(2), rel=1e-12)
    torch.testing.assert_close(gradient, torch.zeros_like(gradient), rtol=0, atol=1e-14)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_elsewhere_it_begins_along_the_divergence_from_the_data(seed: int) -> None:
    """At the reference the expected gradient is beta / 2 times that of KL(data || policy)."""
    old_V = logits(seed)
    logits_V = old_V.clone().requires_grad_()
    loss = expected_loss(logits_V, old_V, DATA_V)
    assert float(loss.detach()) == pytest.approx(math.log(2), rel=1e-12)
    [found] = torch.autograd.grad(loss, logits_V)
    divergence = (DATA_V * (DATA_V.log() - torch.log_softmax(logits_V, 0))).sum()
    [expected] = torch.autograd.grad(divergence, logits_V)
    torch.testing.assert_close(found, BETA / 2 * expected, rtol=1e-10, atol=1e-14)


def test_small_steps_lower_the_divergence_to_nearly_nothing() -> None:
    """Each from what the last one says."""
    old_V, divergences = logits(4), []
    for _ in range(60):
        logits_V = old_V.clone().requires_grad_()
        [gradient] = torch.autograd.grad(expected_loss(logits_V, old_V, DATA_V), logits_V)
        old_V = old_V - 20.0 * gradient
        divergences.append(float((DATA_V * (DATA_V.log() - torch.log_softmax(old_V, 0))).sum()))
    assert all(after < before for before, after in pairwise(divergences))
    assert divergences[-1] < 0.01 < divergences[0]
