"""Baselines, divisors and weights of the policy gradient: against closed forms, and by default what
it was before there was a choice."""

import math
from collections.abc import Sequence
from random import Random
from statistics import fmean, pstdev
from typing import Literal

import pytest
import torch
from torch import Tensor

from bus.events import Judgment
from tests.trainer.lessons import PARTS, batch, judgment
from trainer.forward import Scored
from trainer.replay import Replay
from trainer.rows import Row, sampled_row
from trainer.updates.advantage import Baseline, advantages
from trainer.updates.grpo import GrpoConfig

GROUPS = [judgment(1, [1.0, 0.0, 0.0]), judgment(2, [1.0, 1.0, 1.0]), judgment(3, [0.3, 0.7])]


def drawn(dtype: torch.dtype = torch.float64) -> Scored:
    torch.manual_seed(7)
    mask_BT = (torch.arange(6) < torch.tensor([[6], [2], [4], [1], [5]])).to(dtype)
    made = [-torch.rand(5, 6, dtype=dtype) * mask_BT for _ in range(3)]
    return Scored(
        logprobs_BT=made[0].requires_grad_(),
        behaviour_BT=made[1],
        weights_B=torch.randn(5, dtype=dtype),
        mask_BT=mask_BT,
        reference_BT=made[2],
    )


def of_before(scored: Scored, kl: float) -> Tensor:
    """The loss as it was without choices, operation by operation."""
    ratio_BT = (scored.logprobs_BT - scored.behaviour_BT).exp()
    clipped_BT = ratio_BT.clamp(1 - 0.2, 1 + 0.28)
    advantage_B1 = scored.weights_B[:, None]
    gain_BT = (ratio_BT * advantage_B1).minimum(clipped_BT * advantage_B1)
    if kl:
        assert scored.reference_BT is not None
        above_BT = scored.reference_BT - scored.logprobs_BT
        gain_BT = gain_BT - kl * (above_BT.exp() - above_BT - 1)
    return -(gain_BT * scored.mask_BT).sum() / scored.mask_BT.sum()


def rows_of_before(judgments: list[Judgment], steps: int, random: Random) -> list[list[Row]]:
    rows = []
    for each in judgments:
        rewards = [verdict.reward for verdict in each.verdicts]
        if (deviation := pstdev(rewards)) == 0:
            continue
        for sample, reward in zip(each.attempt.samples, rewards, strict=True):
            advantage = (reward - fmean(rewards)) / (deviation + 1e-4)
            rows += [sampled_row(each.attempt, turn, advantage) for turn in sample.trainable]
    random.shuffle(rows)
    return [rows[step::steps] for step in range(steps)]


@pytest.mark.parametrize("kl", [0.0, 0.3])
def test_by_default_every_number_is_what_it_was(kl: float) -> None:
    update = GrpoConfig(steps=2, kl=kl).build(PARTS)
    rows = list(update.steps(batch(GROUPS), Replay(1), Random(5)))
    assert rows == rows_of_before(GROUPS, 2, Random(5))
    found, expected = drawn(torch.float32), drawn(torch.float32)
    loss, before = update(found), of_before(expected, kl)
    loss.backward()  # type: ignore[no-untyped-call]
    before.backward()  # type: ignore[no-untyped-call]
    assert torch.equal(loss, before)
    assert found.logprobs_BT.grad is not None and expected.logprobs_BT.grad is not None
    assert torch.equal(found.logprobs_BT.grad, expected.logprobs_BT.grad)


@pytest.mark.parametrize("baseline", ["group", "group_mean"])
def test_a_group_of_equal_rewards_moves_nothing(baseline: Baseline) -> None:
    rewards = [judgment(index, [0.1 * index] * 3) for index in range(4)]
    assert list(advantages(rewards, baseline)) == []
    mixed = {attempt.id for attempt, _, _ in advantages(GROUPS, baseline)}
    assert mixed == {GROUPS[0].attempt.id, GROUPS[2].attempt.id}


@pytest.mark.parametrize("baseline", ["batch", "role"])
def test_a_batch_of_equal_rewards_moves_nothing(baseline: Baseline) -> None:
    assert list(advantages([judgment(1, [0.4] * 3), judgment(2, [0.4] * 2)], baseline)) == []
    assert len(list(advantages(GROUPS, baseline))) == 8


def test_without_the_deviation_an_advantage_is_the_distance_from_the_mean() -> None:
    found = [advantage for _, _, advantage in advantages(GROUPS, "group_mean")]
    assert found == pytest.approx([2 / 3, -1 / 3, -1 / 3, -0.2, 0.2])


def test_the_batch_is_held_against_itself() -> None:
    rewards = [verdict.reward for each in GROUPS for verdict in each.verdicts]
    found = [advantage for _, _, advantage in advantages(GROUPS, "batch")]
    expected = [(reward - fmean(rewards)) / (pstdev(rewards) + 1e-4) for reward in rewards]
    assert found == pytest.approx(expected)


def seated(judged: Judgment, seats: Sequence[str], family: str) -> Judgment:
    """With a turn for each of `seats` in every sample."""
    attempt = judged.attempt
    samples = tuple(
        sample.model_copy(
            update={
                "turns": tuple(sample.turns[0].model_copy(update={"seat": seat}) for seat in seats)
            }
        )
        for sample in attempt.samples
    )
    task = attempt.task.model_copy(update={"family": family})
    attempt = attempt.model_copy(update={"samples": samples, "task": task})
    return judged.model_copy(update={"attempt": attempt})


def test_a_role_is_held_against_its_like_and_every_sample_counts_once() -> None:
    given = [
        seated(judgment(1, [1.0, 0.0]), "a", "sort"),
        seated(judgment(2, [3.0, 0.0, 0.0]), "aab", "sort"),
        seated(judgment(3, [7.0, 5.0]), "a", "copy"),
    ]
    found = [
        (turn.seat, attempt.task.family, round(advantage, 3))
        for attempt, turn, advantage in advantages(given, "role")
    ]
    of = {
        ("a", "sort"): [1.0, 0.0, 3.0, 0.0, 0.0],
        ("b", "sort"): [3.0, 0.0, 0.0],
        ("a", "copy"): [7.0, 5.0],
    }

    def expected(seat: str, family: str, reward: float) -> tuple[str, str, float]:
        like = of[seat, family]
        return seat, family, round((reward - fmean(like)) / (pstdev(like) + 1e-4), 3)

    assert found == [
        *(expected("a", "sort", reward) for reward in (1.0, 0.0)),
        *(expected(seat, "sort", reward) for reward in (3.0, 0.0, 0.0) for seat in "aab"),
        *(expected("a", "copy", reward) for reward in (7.0, 5.0)),
    ]


@pytest.mark.parametrize("normalize", ["token", "sequence", "fixed"])
def test_a_step_is_divided_as_its_recipe_says(
    normalize: Literal["token", "sequence", "fixed"],
) -> None:
    given = drawn()
    config = GrpoConfig(clip_low=0.9, clip_high=9, normalize=normalize, length=11)
    sums, lengths = [], []
    for row in range(5):
        lengths.append(int(given.mask_BT[row].sum()))
        ratios = (given.logprobs_BT - given.behaviour_BT)[row, : lengths[-1]].exp().tolist()
        sums.append(sum(ratios) * float(given.weights_B[row]))
    expected = {
        "token": sum(sums) / sum(lengths),
        "sequence": fmean(each / length for each, length in zip(sums, lengths, strict=True)),
        "fixed": sum(sums) / (5 * 11),
    }
    assert float(config.build(PARTS)(given).detach()) == pytest.approx(
        -expected[normalize], rel=1e-12
    )


def test_the_entropy_of_one_sample_has_the_slope_of_the_entropy() -> None:
    """The expectation over every token that the behaviour policy could have drawn."""
    torch.manual_seed(1)
    logits_V = torch.randn(7, dtype=torch.float64, requires_grad=True)
    behaviour_V = torch.log_softmax(torch.randn(7, dtype=torch.float64), 0)
    logprobs_V = torch.log_softmax(logits_V, 0)
    entropy = -(logprobs_V.exp() * logprobs_V).sum()
    [expected] = torch.autograd.grad(entropy, logits_V, retain_graph=True)
    update = GrpoConfig(entropy=0.3).build(PARTS)
    total = torch.zeros((), dtype=torch.float64)
    for token in range(7):
        one = Scored(
            logprobs_BT=logprobs_V[token].view(1, 1),
            behaviour_BT=behaviour_V[token].view(1, 1),
            weights_B=torch.zeros(1, dtype=torch.float64),
            mask_BT=torch.ones(1, 1, dtype=torch.float64),
        )
        total = total + behaviour_V[token].exp() * update(one)
    assert float(total.detach()) == pytest.approx(-0.3 * float(entropy.detach()), rel=1e-12)
    [found] = torch.autograd.grad(total, logits_V)
    torch.testing.assert_close(found, -0.3 * expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("cap", [0.8, 1.5, 100.0])
def test_what_the_engine_said_is_a_capped_weight(cap: float) -> None:
    given = drawn()
    update = GrpoConfig(engine_cap=cap).build(PARTS)
    assert update.reference == "previous"
    assert given.reference_BT is not None
    own, behaviour = given.logprobs_BT.tolist(), given.behaviour_BT.tolist()
    reference, total = given.reference_BT.tolist(), 0.0
    for row, place in given.mask_BT.nonzero().tolist():
        logprob, said, old = (each[row][place] for each in (own, behaviour, reference))
        advantage = float(given.weights_B[row])
        ratio, weight = math.exp(logprob - old), min(math.exp(old - said), cap)
        total += weight * min(ratio * advantage, min(max(ratio, 0.8), 1.28) * advantage)
    expected = -total / float(given.mask_BT.sum())
    assert float(update(given).detach()) == pytest.approx(expected, rel=1e-12)


def test_a_cap_and_a_divergence_from_version_zero_are_refused() -> None:
    with pytest.raises(ValueError, match='set reference = "previous"'):
        GrpoConfig(engine_cap=2.0, kl=0.1)
    assert GrpoConfig(engine_cap=2.0, kl=0.1, reference="previous").build(PARTS)
