"""Losses of pairs against closed forms in 64 bits, and the pairs that judged groups give."""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from random import Random

import pytest
import torch
from torch import Tensor

from tests.trainer.lessons import PARTS, TINY, batch, judgment
from trainer.config import LearnerConfig
from trainer.forward import Scored
from trainer.gradient import Gradient, parts_of
from trainer.optimizer import trainable
from trainer.replay import Replay
from trainer.rows import Row
from trainer.seed_model import make_model
from trainer.updates.cream import CreamConfig, consistency
from trainer.updates.dpo import DpoConfig
from trainer.updates.nll import WARMUP_ROLES, WARMUP_SOLVED
from trainer.updates.pairs import paired

LENGTHS = [3, 1, 2, 4, 2, 1]
"""Of six rows: the first two are turns of one answer."""
WEIGHTS = [1.0, 1.0, -1.0, -1.0, 0.0, 1.0]
GROUPS = [4, 4, 4, 9, 9, 9]
SAMPLES = [0, 0, 1, 5, 6, 7]


def scored(logprobs: Tensor | None = None, reference: Tensor | None = None) -> Scored:
    torch.manual_seed(3)
    mask_BT = (torch.arange(4) < torch.tensor(LENGTHS)[:, None]).double()
    own_BT, other_BT = (-3 * torch.rand(6, 4, dtype=torch.float64) for _ in range(2))
    return Scored(
        logprobs_BT=(own_BT if logprobs is None else logprobs).clone().requires_grad_(),
        behaviour_BT=torch.zeros(6, 4, dtype=torch.float64),
        weights_B=torch.tensor(WEIGHTS, dtype=torch.float64),
        mask_BT=mask_BT,
        reference_BT=other_BT if reference is None else reference,
        groups_B=torch.tensor(GROUPS),
        samples_B=torch.tensor(SAMPLES),
    )


def said(values_BT: Tensor, row: int) -> float:
    return math.fsum(values_BT[row, : LENGTHS[row]].tolist())


def margins(given: Scored) -> list[float]:
    """(log pi / pi_ref)(y+) - (log pi / pi_ref)(y-) of both groups."""
    assert given.reference_BT is not None
    gain = [said(given.logprobs_BT - given.reference_BT, row) for row in range(6)]
    return [gain[0] + gain[1] - gain[2], gain[5] - gain[3]]


def log_sigmoid(value: float) -> float:
    return -math.log1p(math.exp(-value))


def slopes(loss: Tensor, given: Scored) -> Tensor:
    [found] = torch.autograd.grad(loss, given.logprobs_BT)
    return found


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_dpo_is_the_loss_of_the_paper_and_its_gradient(smoothing: float) -> None:
    beta, given = 0.7, scored()
    loss = DpoConfig(beta=beta, smoothing=smoothing).build(PARTS)(given)
    expected = [
        -(1 - smoothing) * log_sigmoid(beta * each) - smoothing * log_sigmoid(-beta * each)
        for each in margins(given)
    ]
    assert float(loss.detach()) == pytest.approx(sum(expected) / 2, rel=1e-12)
    found = slopes(loss, given)
    for row in range(6):
        pull = 1 / (1 + math.exp(beta * margins(given)[row // 3])) - smoothing
        slope = -beta * pull * WEIGHTS[row] / 2
        within = [slope] * LENGTHS[row] + [0.0] * (4 - LENGTHS[row])
        assert found[row].tolist() == pytest.approx(within, abs=1e-12)


def test_at_its_reference_the_loss_is_that_of_a_coin_and_expects_no_gradient() -> None:
    """With both answers of a pair from one distribution: a pair and the swapped one cancel out."""
    reference = scored().reference_BT
    assert reference is not None
    given = scored(reference)
    loss = DpoConfig().build(PARTS)(given)
    assert float(loss.detach()) == pytest.approx(math.log(2), rel=1e-12)
    slope = slopes(loss, given)
    swapped = scored(reference)
    swapped.weights_B.neg_()
    other = slopes(DpoConfig().build(PARTS)(swapped), swapped)
    assert slope.abs().max() > 0.01
    assert torch.equal(slope, -other)


def test_the_likelihood_is_that_of_the_better_answer_per_token() -> None:
    given = scored()
    plain, more = (float(DpoConfig(nll=nll).build(PARTS)(given).detach()) for nll in (0.0, 0.4))
    own = given.logprobs_BT
    better = [(said(own, 0) + said(own, 1)) / (LENGTHS[0] + LENGTHS[1]), said(own, 5) / LENGTHS[5]]
    assert more - plain == pytest.approx(-0.4 * sum(better) / 2, rel=1e-10)


def agreement(own: Sequence[float], other: Sequence[float]) -> float:
    """Kendall's tau by counting."""
    signs = [(own[a] - own[b]) * (other[a] - other[b]) for a, b in combinations(range(len(own)), 2)]
    return sum(1 if sign > 0 else -1 for sign in signs) / len(signs)


def test_cream_trusts_a_pair_by_kendalls_tau() -> None:
    given, beta = scored(), 0.7
    assert given.reference_BT is not None
    taus = []
    for group in ([(0, 1), (2,)], [(3,), (4,), (5,)]):
        ranks = [
            [
                sum(said(values, row) for row in turns) / sum(LENGTHS[row] for row in turns)
                for turns in group
            ]
            for values in (given.logprobs_BT, given.reference_BT)
        ]
        taus.append(agreement(*ranks))
    trust = (sum(taus) / 2 + 1) / 2
    assert 0 < trust < 1, "the hand computation would say nothing"
    expected = [
        -trust * log_sigmoid(beta * each) - (1 - trust) * log_sigmoid(-beta * each)
        for each in margins(given)
    ]
    assert float(consistency(given)) == pytest.approx(trust)
    loss = CreamConfig(beta=beta).build(PARTS)(given)
    assert float(loss.detach()) == pytest.approx(sum(expected) / 2, rel=1e-12)


def test_cream_of_like_rankings_is_dpo() -> None:
    reference = scored().reference_BT
    assert reference is not None
    given = scored(2 * reference)
    assert float(consistency(given)) == 1
    assert torch.equal(CreamConfig().build(PARTS)(given), DpoConfig().build(PARTS)(given))


def test_cream_of_half_a_trust_leaves_a_zero_margin_where_it_is() -> None:
    """Group 4 ranks alike and group 9 the other way round; in both the pair has gained alike."""
    own, other = (torch.zeros(6, 4, dtype=torch.float64) for _ in range(2))
    own[:, 0] = torch.tensor([-1.0, -1.0, -3.0, -2.5, -0.25, -2.0])
    other[:, 0] = torch.tensor([-1.5, -1.5, -4.0, -0.5, -0.5, 0.0])
    given = scored(own, other)
    assert margins(given) == pytest.approx([0.0, 0.0])
    assert float(consistency(given)) == 0.5
    assert slopes(CreamConfig().build(PARTS)(given), given).abs().max() < 1e-12
    assert slopes(DpoConfig().build(PARTS)(given), given).abs().max() > 0.01


def test_the_best_of_a_group_is_paired_with_the_worst_and_ties_are_dropped() -> None:
    groups = [judgment(1, [0.2, 1.0, 0.5, 0.0]), judgment(2, [1.0, 1.0]), judgment(3, [0.1, 0.3])]
    first, last = paired(groups, Random(1))
    turns = [sample.turns[0].tokens for sample in groups[0].attempt.samples]
    assert [(row.weight, row.completion) for row in first] == [(1, turns[1]), (-1, turns[3])]
    assert [row.weight for row in last] == [1, -1]
    assert {row.group for row in first} != {row.group for row in last}
    whole = [row for rows in paired(groups, Random(1), whole=True) for row in rows]
    assert [row.weight for row in whole] == [1, 0, 0, -1, 1, -1]
    assert len({row.sample for row in whole}) == 6


def test_what_a_judge_could_not_tell_is_in_no_pair() -> None:
    given = judgment(1, [1.0, 0.5, 0.0])
    verdicts = [*given.verdicts[:2], given.verdicts[2].model_copy(update={"known": False})]
    [rows] = paired([given.model_copy(update={"verdicts": tuple(verdicts)})], Random(1))
    assert rows[1].completion == given.attempt.samples[1].turns[0].tokens


def asked(config: DpoConfig | CreamConfig) -> list[list[Row]]:
    groups = [judgment(index, [0.1 * index, 1.0, 0.0, 0.6]) for index in range(7)]
    return list(config.build(PARTS).steps(batch(groups), Replay(1), Random(2)))


@pytest.mark.parametrize("config", [DpoConfig(steps=3), CreamConfig(steps=3)])
def test_a_step_has_whole_groups(config: DpoConfig | CreamConfig) -> None:
    steps = asked(config)
    groups = [{row.group for row in rows} for rows in steps]
    assert sorted(len(each) for each in groups) == [2, 2, 3]
    assert len(set.union(*groups)) == 7


@pytest.mark.parametrize("config", [DpoConfig(nll=0.3), CreamConfig(beta=2.0)])
def test_pairs_that_are_read_in_parts_have_the_gradient_of_the_whole(
    config: DpoConfig | CreamConfig,
) -> None:
    [rows] = asked(config)
    loss, found = config.build(PARTS), []
    reference = {name: each.detach() for name, each in trainable(make_model(TINY, 2)).items()}
    for tokens in (6, 10_000):
        model = make_model(TINY, 1)
        value = Gradient(model, LearnerConfig(micro_batch_tokens=tokens)).add(rows, loss, reference)
        found.append((value, [each.grad for each in trainable(model).values()]))
    parts = parts_of(rows, 6)
    assert any(len({rows[index].group for index in part}) < len(part) for part in parts) or (
        len(parts) > len(rows) // 2
    ), "no pair was parted"
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-5)
    for part, whole in zip(found[0][1], found[1][1], strict=True):
        assert part is not None and whole is not None
        assert torch.allclose(part, whole, rtol=1e-4, atol=1e-7)


def test_rows_of_the_warm_up_stand_beside_the_pairs_each_on_its_own() -> None:
    replay = Replay(8)
    shown = [Row(prompt=(5, place), completion=(6, 1)) for place in range(3)]
    for row in shown:
        replay.add(WARMUP_ROLES, row)
    judgments = [judgment(1, [1.0, 0.0]), judgment(2, [0.0, 1.0])]
    for row in shown[1:]:
        replay.add(WARMUP_SOLVED, replace(row, completion=(7, 1)))
    update = DpoConfig(nll=1.0, role_rows=3, warmup_rows=1).build(PARTS)
    [rows] = update.steps(batch(judgments), replay, Random(1))
    pairs, roles = rows[:4], rows[4:]
    assert sorted(row.weight for row in pairs) == [-1.0, -1.0, 1.0, 1.0]
    assert len(roles) == 4 and all(row.weight == 1.0 for row in roles)
    assert [row.completion for row in roles] == [(6, 1)] * 3 + [(7, 1)]
    for number in ("group", "sample"):
        own = [getattr(row, number) for row in roles]
        assert len(set(own)) == 4
        assert not set(own) & {getattr(row, number) for row in pairs}


def test_without_a_pair_no_role_is_learned() -> None:
    replay = Replay(8)
    replay.add(WARMUP_ROLES, Row(prompt=(5,), completion=(6, 1)))
    update = DpoConfig(role_rows=4).build(PARTS)
    assert not list(update.steps(batch([judgment(1, [1.0, 1.0])]), replay, Random(1)))
