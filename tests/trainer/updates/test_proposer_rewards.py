"""What a proposal is worth, and how a policy gradient learns from it, refused ones included."""

import math
from random import Random
from statistics import fmean, pstdev

import pytest

from bus.events import Judgment, Proposal, Refusal
from tests.trainer.lessons import PARTS, batch, delivery, judgment, proposal, refusal
from trainer.batch import Batch, BatchConfig, Gathering, arrival
from trainer.replay import Replay
from trainer.rows import Row, proposed_row
from trainer.updates.advantage import proposer_advantages
from trainer.updates.grpo import GrpoConfig
from trainer.updates.rewards import WORTHS, ProposerReward


@pytest.mark.parametrize(
    ("name", "at_0", "at_quarter", "at_half", "at_1"),
    [
        ("azr", 0, 0.75, 0.5, 0),
        ("azr_code", -0.5, 0.75, 0.5, -0.5),
        ("tent", 0, 0.25, 0.5, 0),
        ("sqlm", 0, 1, 1, 0),
        ("gaussian", math.exp(-3.125), math.exp(-0.1953125), 1, math.exp(-3.125)),
    ],
)
def test_a_task_earns_by_how_often_it_is_solved(
    name: ProposerReward, at_0: float, at_quarter: float, at_half: float, at_1: float
) -> None:
    found = [WORTHS[name].of(share) for share in (0.0, 0.25, 0.5, 1.0)]
    assert found == pytest.approx([at_0, at_quarter, at_half, at_1])


@pytest.mark.parametrize(
    ("name", "refused", "malformed"),
    [
        ("azr", -0.5, -1),
        ("azr_code", -0.5, -1),
        ("tent", -1, -1),
        ("sqlm", 0, 0),
        ("gaussian", -0.1, -0.1),
    ],
)
def test_what_is_refused_earns_by_its_reason(
    name: ProposerReward, refused: float, malformed: float
) -> None:
    worth = WORTHS[name]
    for reason in ("not ended", "unparseable", "unknown family"):
        assert worth.of_refusal(reason) == malformed
    for reason in ("trivial", "out of range", "duplicate", "held-out", "too alike"):
        assert worth.of_refusal(reason) == refused


def test_every_reward_is_tried() -> None:
    assert set(WORTHS) == {"azr", "azr_code", "tent", "sqlm", "gaussian"}


def by(seat: str, of: Proposal, trainable: bool = True) -> Proposal:
    turn = of.turn.model_copy(update={"seat": seat, "trainable": trainable})
    return of.model_copy(update={"turn": turn})


def asked(index: int, rewards: list[float], seat: str, trainable: bool = True) -> Judgment:
    return judgment(index, rewards, proposal=by(seat, proposal(index), trainable))


def refused(index: int, seat: str, reason: str) -> Refusal:
    found = refusal(index)
    return found.model_copy(update={"proposal": by(seat, found.proposal), "reason": reason})


DEDUCTION, ABDUCTION = "proposer/deduction", "proposer/abduction"


def test_a_proposal_is_held_against_those_of_its_seat() -> None:
    judged = [
        asked(1, [1.0, 0.0, 0.0, 0.0], DEDUCTION),
        asked(2, [1.0, 1.0], DEDUCTION),
        asked(3, [1.0, -0.5], ABDUCTION),
        judgment(4),
    ]
    told = [refused(5, DEDUCTION, "trivial"), refused(6, ABDUCTION, "not ended")]
    found = list(proposer_advantages(judged, told, WORTHS["azr"]))
    earned = {DEDUCTION: [0.75, 0.0, -0.5], ABDUCTION: [0.5, -1.0]}
    for seat, rewards in earned.items():
        expected = [(r - fmean(rewards)) / (pstdev(rewards) + 1e-4) for r in rewards]
        assert [a for turn, a in found if turn.seat == seat] == pytest.approx(expected)
    assert len(found) == 5


def test_proposals_that_all_earn_the_same_teach_nothing() -> None:
    judged = [asked(index, [1.0, 0.0], DEDUCTION) for index in range(3)]
    assert list(proposer_advantages(judged, [], WORTHS["azr"])) == []


def test_a_frozen_proposer_is_not_learned_from() -> None:
    judged = [asked(1, [1.0, 0.0], "proposer", False), asked(2, [1.0, 1.0], "proposer", False)]
    assert list(proposer_advantages(judged, [], WORTHS["azr"])) == []


def rows(config: GrpoConfig, of: Batch) -> list[Row]:
    made = list(config.build(PARTS).steps(of, Replay(8), Random(1)))
    assert len(made) == 1
    return made[0]


def test_both_roles_are_learned_from_in_one_step() -> None:
    judged = [asked(1, [1.0, -0.5], DEDUCTION), asked(2, [1.0, 1.0], DEDUCTION)]
    whole = batch(judged)
    alone = rows(GrpoConfig(baseline="role"), whole)
    both = rows(GrpoConfig(baseline="role", proposer_reward="azr"), whole)
    [proposed] = [
        [row for row in both if row.completion == one.attempt.task.proposal.turn.tokens]
        for one in judged[:1]
        if one.attempt.task.proposal
    ]
    assert len(both) == len(alone) + 2
    assert [row.weight > 0 for row in proposed] == [True]
    key = [(row.completion, row.weight) for row in both]
    assert all((row.completion, row.weight) in key for row in alone)


def test_a_proposal_is_compared_at_the_temperature_it_was_drawn_at() -> None:
    turn = proposal(1).turn.model_copy(update={"temperature": 0.7})
    assert proposed_row(turn, 1.0).temperature == 0.7
    with pytest.raises(ValueError, match=r"a proposal was sampled with top_p = 0\.9"):
        proposed_row(turn.model_copy(update={"top_p": 0.9}), 1.0)


def test_a_version_learns_from_the_refusals_that_it_consumes() -> None:
    events = [refusal(1), judgment(1), refusal(1), refusal(2), judgment(2), refusal(3)]
    gathered = Gathering(BatchConfig(size=2), {})
    gathered.add([arrival(delivery(event, at)) for at, event in enumerate(events)], now=0.0)
    taken = gathered.take(0, 0.0)
    assert taken is not None
    assert [one.id for one in taken.refused] == [refusal(index).id for index in (1, 2, 3)]
    reasons = [dropped.reason for dropped in taken.dropped]
    assert sorted(reasons) == ["duplicate", *["refused by the task gate"] * 3]
