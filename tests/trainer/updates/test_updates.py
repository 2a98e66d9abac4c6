"""Updates: their losses against sums done by hand, and which rows they ask for."""

import math
from random import Random
from statistics import fmean, pstdev
from typing import Literal

import pytest
import torch

from tests.trainer.lessons import PARTS, batch, judgment, proposal
from trainer.forward import Scored
from trainer.replay import Replay
from trainer.rows import Row
from trainer.updates.grpo import GrpoConfig
from trainer.updates.nll import SOLVED, NllConfig
from trainer.updates.proposals import PROPOSED, keep_proposals, proposal_rows

LOGPROBS = [[-0.3, -1.2, -0.7], [-2.0, -0.1, 0.0]]
BEHAVIOUR = [[-0.9, -1.1, -0.7], [-1.0, -0.6, 0.0]]
MASK = [[1.0, 1.0, 1.0], [1.0, 1.0, 0.0]]
WEIGHTS = [1.25, -0.75]
PLACES = [(row, place) for row in range(2) for place in range(3) if MASK[row][place]]


def scored(requires_grad: bool = False) -> Scored:
    return Scored(
        logprobs_BT=torch.tensor(LOGPROBS, dtype=torch.float64, requires_grad=requires_grad),
        behaviour_BT=torch.tensor(BEHAVIOUR, dtype=torch.float64),
        weights_B=torch.tensor(WEIGHTS, dtype=torch.float64),
        mask_BT=torch.tensor(MASK, dtype=torch.float64),
    )


def test_nll_is_the_weighted_mean_over_completion_tokens() -> None:
    total = sum(-LOGPROBS[row][place] * WEIGHTS[row] for row, place in PLACES)
    weight = sum(WEIGHTS[row] for row, _ in PLACES)
    assert float(NllConfig().build(PARTS)(scored())) == pytest.approx(total / weight, rel=1e-12)


def test_grpo_is_the_clipped_gain_and_its_gradient() -> None:
    low, high = 0.2, 0.28
    gains, slopes = [], {}
    for row, place in PLACES:
        ratio = math.exp(LOGPROBS[row][place] - BEHAVIOUR[row][place])
        clipped = min(max(ratio, 1 - low), 1 + high)
        gain = min(ratio * WEIGHTS[row], clipped * WEIGHTS[row])
        gains.append(gain)
        free = gain == ratio * WEIGHTS[row]
        slopes[row, place] = -ratio * WEIGHTS[row] / len(PLACES) if free else 0.0
    given = scored(requires_grad=True)
    loss = GrpoConfig(clip_low=low, clip_high=high).build(PARTS)(given)
    assert float(loss.detach()) == pytest.approx(-sum(gains) / len(PLACES), rel=1e-12)
    loss.backward()  # type: ignore[no-untyped-call]
    gradient = given.logprobs_BT.grad
    assert gradient is not None
    for (row, place), slope in slopes.items():
        assert float(gradient[row, place]) == pytest.approx(slope, abs=1e-12)
    # The hand computation must have met a clipped and a free token to say anything.
    assert any(slope == 0 for slope in slopes.values())
    assert any(slope != 0 for slope in slopes.values())


def on_policy(reference: list[list[float]] | None, advantage: float = 0.0) -> Scored:
    logprobs_BT = torch.tensor(LOGPROBS, dtype=torch.float64, requires_grad=True)
    compared = None if reference is None else torch.tensor(reference, dtype=torch.float64)
    return Scored(
        logprobs_BT=logprobs_BT,
        behaviour_BT=logprobs_BT.detach(),
        weights_B=torch.full((2,), advantage, dtype=torch.float64),
        mask_BT=torch.tensor(MASK, dtype=torch.float64),
        reference_BT=compared,
    )


def gradient_of(config: GrpoConfig | NllConfig, given: Scored) -> tuple[float, torch.Tensor]:
    loss = config.build(PARTS)(given)
    loss.backward()  # type: ignore[no-untyped-call]
    assert given.logprobs_BT.grad is not None
    return float(loss.detach()), given.logprobs_BT.grad


def test_grpo_pulls_towards_the_reference_where_it_is_asked_to() -> None:
    reference, kl = [[-0.5, -0.4, -0.7], [-1.0, -0.9, -3.0]], 0.3
    loss, gradient = gradient_of(GrpoConfig(kl=kl), on_policy(reference))
    above = {(row, place): reference[row][place] - LOGPROBS[row][place] for row, place in PLACES}
    expected = sum(math.exp(each) - each - 1 for each in above.values()) * kl / len(PLACES)
    assert loss == pytest.approx(expected, rel=1e-12)
    for (row, place), each in above.items():
        slope = float(gradient[row, place])
        assert slope == pytest.approx(kl * (1 - math.exp(each)) / len(PLACES), abs=1e-12)
        # A step against the gradient goes where the reference is.
        assert slope * each < 0 or each == slope == 0
    assert float(gradient[1, 2]) == 0


def test_nll_is_held_to_the_reference_where_it_is_asked_to() -> None:
    reference, kl = [[-0.5, -0.4, -0.7], [-1.0, -0.9, -3.0]], 0.3
    given = on_policy(reference, advantage=1.0)
    loss, gradient = gradient_of(NllConfig(kl=kl), given)
    said = {place: LOGPROBS[place[0]][place[1]] for place in PLACES}
    above = {place: reference[place[0]][place[1]] - said[place] for place in PLACES}
    each = [-said[place] + kl * (math.exp(above[place]) - above[place] - 1) for place in PLACES]
    assert loss == pytest.approx(sum(each) / len(PLACES), rel=1e-12)
    for (row, place), lag in above.items():
        slope = (-1 + kl * (1 - math.exp(lag))) / len(PLACES)
        assert float(gradient[row, place]) == pytest.approx(slope, abs=1e-12)


def test_grpo_on_the_policy_of_its_reference_is_grpo_without_one() -> None:
    loss, gradient = gradient_of(GrpoConfig(), on_policy(None, 0.75))
    other, pulled = gradient_of(GrpoConfig(kl=0.5), on_policy(LOGPROBS, 0.75))
    assert (loss, gradient.tolist()) == (other, pulled.tolist())
    assert loss == pytest.approx(-0.75)


@pytest.mark.parametrize(
    ("config", "reference"),
    [
        (NllConfig(), None),
        (NllConfig(kl=0.1), "first"),
        (NllConfig(kl=0.1, reference="previous"), "previous"),
        (GrpoConfig(), None),
        (GrpoConfig(reference="previous"), None),
        (GrpoConfig(kl=0.1), "first"),
        (GrpoConfig(kl=0.1, reference="previous"), "previous"),
    ],
)
def test_a_reference_is_asked_for_only_where_it_counts(
    config: NllConfig | GrpoConfig, reference: str | None
) -> None:
    assert config.build(PARTS).reference == reference


def test_grpo_gives_every_sample_its_advantage_over_the_group() -> None:
    rewards = [1.0, 0.0, 0.0, 1.0, 1.0]
    mixed, all_right, all_wrong = (
        judgment(1, rewards),
        judgment(2, [1.0, 1.0]),
        judgment(3, [0.0, 0.0]),
    )
    update = GrpoConfig(steps=2).build(PARTS)
    replay = Replay(4)
    steps = list(update.steps(batch([mixed, all_right, all_wrong]), replay, Random(0)))
    assert [len(rows) for rows in steps] == [3, 2]
    mean, deviation = fmean(rewards), pstdev(rewards)
    expected = [
        ((reward - mean) / (deviation + 1e-4), sample.turns[0].tokens, sample.turns[0].logprobs)
        for sample, reward in zip(mixed.attempt.samples, rewards, strict=True)
    ]
    found = [(row.weight, row.completion, row.logprobs) for rows in steps for row in rows]
    for mine, theirs in zip(sorted(found), sorted(expected), strict=True):
        assert mine[0] == pytest.approx(theirs[0])
        assert mine[1:] == theirs[1:]


def test_grpo_has_nothing_to_learn_from_unanimous_groups() -> None:
    update = GrpoConfig().build(PARTS)
    assert list(update.steps(batch([judgment(1, [1.0, 1.0])]), Replay(4), Random(0))) == []


def test_nll_keeps_one_right_sample_of_every_solved_task() -> None:
    replay = Replay(16)
    unsure, sure, unsolved = (
        judgment(1, [0.0, 1.0, 1.0], level=5),
        judgment(2, [1.0, 1.0], level=2),
        judgment(3, [0.0, 0.0], level=5),
    )
    update = NllConfig(steps=2, fresh_rows=4, replay_rows=2).build(PARTS)
    steps = list(update.steps(batch([unsure, sure, unsolved]), replay, Random(0)))
    assert replay.names(SOLVED) == ["solved/2", "solved/5"]
    kept = {
        replay.draw(name, Random(seed)).completion
        for name in replay.names(SOLVED)
        for seed in range(9)
    }
    right = {unsure.attempt.samples[1].turns[0].tokens, sure.attempt.samples[0].turns[0].tokens}
    assert kept == right
    assert [len(rows) for rows in steps] == [6, 6]
    assert {row.completion for rows in steps for row in rows} <= right


def test_nll_prefers_tasks_that_were_solved_now_and_then() -> None:
    unsure = judgment(1, [0.0, 1.0])
    given = batch([unsure, *(judgment(index, [1.0, 1.0]) for index in range(2, 30))])
    wanted = unsure.attempt.samples[1].turns[0].tokens

    def shares(source: Literal["unsure", "solved"]) -> int:
        update = NllConfig(steps=1, fresh_rows=4, replay_rows=0, fresh_from=source).build(PARTS)
        drawn = [next(update.steps(given, Replay(1), Random(seed))) for seed in range(20)]
        assert {len(rows) for rows in drawn} == {4}
        return sum(wanted in [row.completion for row in rows] for rows in drawn)

    assert shares("unsure") == 20
    assert shares("solved") < 10


def test_a_batch_without_a_right_answer_and_an_empty_memory_asks_for_no_step() -> None:
    update = NllConfig().build(PARTS)
    assert list(update.steps(batch([judgment(1, [0.0, 0.0])]), Replay(4), Random(0))) == []


def test_learnable_proposals_are_imitated_and_the_rest_is_not() -> None:
    replay = Replay(16)
    learnable = judgment(1, [1.0, 0.0], level=5, proposal=proposal(1))
    trivial = judgment(2, [1.0, 1.0], level=2, proposal=proposal(2))
    keep_proposals([learnable, trivial, judgment(3)], replay)
    assert replay.names(PROPOSED) == ["proposed/reverse/5"]
    assert replay.rates["proposed/reverse/5"] > replay.rates["proposed/reverse/2"]
    rows = proposal_rows(6, replay, Random(0))
    assert [row.completion for row in rows] == [proposal(1).turn.tokens] * 6
    assert {row.weight for row in rows} == {1.0}


def test_no_proposal_is_imitated_before_there_is_one() -> None:
    assert proposal_rows(3, Replay(4), Random(0)) == []


def test_rows_of_the_warm_up_are_replayed_where_the_recipe_asks() -> None:
    replay = Replay(4)
    solved, proposed = Row(prompt=(1,), completion=(2,)), Row(prompt=(3,), completion=(4,))
    replay.add("warm-up/solved", solved)
    replay.add("warm-up/proposed", proposed)
    config = NllConfig(steps=1, fresh_rows=0, replay_rows=0, warmup_rows=2, anchor_rows=3)
    [rows] = config.build(PARTS).steps(batch([]), replay, Random(0))
    assert rows == [solved, solved, proposed, proposed, proposed]
