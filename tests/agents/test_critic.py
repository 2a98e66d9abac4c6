"""The critic and its judges: one verdict per sample, whatever the sample says."""

import asyncio

import pytest

from agents.critic import Critic
from agents.judges.chance import ChanceConfig
from agents.judges.exact import ExactConfig
from agents.judges.judge import Judge
from agents.judges.vote import VoteConfig
from tests.agents.asking import DOMAIN, RUN, attempt, task

EXACT: Judge = ExactConfig().build(DOMAIN, 0)
WEIRD = ["", "21\x00", "２１", "9" * 5000, "\ud7ff", "nan", "-21", " 21"]


def test_the_exact_judge_says_right_wrong_empty_or_not_ended() -> None:
    verdicts = EXACT.judge(attempt(task("r12"), ["21", "12", "", None]))
    assert [verdict.reward for verdict in verdicts] == [1.0, 0.0, 0.0, 0.0]
    assert [verdict.reason for verdict in verdicts] == ["right", "wrong", "empty", "not ended"]
    assert {verdict.provenance for verdict in verdicts} == {"exact"}


def test_a_right_text_that_did_not_end_is_not_right() -> None:
    group = attempt(task("r12"), ["21", "21"])
    turn = group.samples[1].turns[0].model_copy(update={"finish_reason": "length"})
    group = group.model_copy(
        update={
            "samples": (group.samples[0], group.samples[1].model_copy(update={"turns": (turn,)}))
        }
    )
    assert [verdict.reward for verdict in EXACT.judge(group)] == [1.0, 0.0]


@pytest.mark.parametrize(
    "judge",
    [EXACT, VoteConfig().build(DOMAIN, 0), ChanceConfig().build(DOMAIN, 0)],
    ids=["exact", "vote", "chance"],
)
def test_a_strange_answer_is_data(judge: Judge) -> None:
    verdicts = judge.judge(attempt(task("r12"), [*WEIRD, None]))
    assert len(verdicts) == len(WEIRD) + 1
    assert all(verdict.reward in (0.0, 1.0) for verdict in verdicts)


def test_the_majority_is_right() -> None:
    vote = VoteConfig(threshold=0.5).build(DOMAIN, 0)
    verdicts = vote.judge(attempt(task("r12"), ["12", "12", "21", None]))
    assert [verdict.reward for verdict in verdicts] == [1.0, 1.0, 0.0, 0.0]
    assert [verdict.reason for verdict in verdicts] == [
        "majority",
        "majority",
        "minority",
        "not ended",
    ]
    assert {verdict.scores["agreement"] for verdict in verdicts} == {0.5}


def test_without_a_majority_nobody_is_right() -> None:
    vote = VoteConfig(threshold=0.6).build(DOMAIN, 0)
    verdicts = vote.judge(attempt(task("r12"), ["12", "12", "21", None]))
    assert {verdict.reward for verdict in verdicts} == {0.0}
    assert {verdict.reason for verdict in verdicts} == {"no majority", "not ended"}


def test_answers_that_did_not_end_have_no_vote() -> None:
    vote = VoteConfig(threshold=0.0).build(DOMAIN, 0)
    assert [verdict.reward for verdict in vote.judge(attempt(task("r12"), [None, None]))] == [0, 0]
    assert [verdict.reward for verdict in vote.judge(attempt(task("r12"), [None, "7"]))] == [0, 1]


def test_the_vote_does_not_look_at_the_reference() -> None:
    vote = VoteConfig().build(DOMAIN, 0)
    group = attempt(task("r12"), ["7", "7", "21"])
    other = group.model_copy(
        update={"task": group.task.model_copy(update={"answer": "something else"})}
    )
    assert vote.judge(group) == vote.judge(other)


def test_coins_fall_the_same_way_again_and_as_often_as_they_should() -> None:
    chance = ChanceConfig(rate=0.3).build(DOMAIN, seed=4)
    group = attempt(task("r12"), ["21"] * 2000)
    verdicts = chance.judge(group)
    assert verdicts == ChanceConfig(rate=0.3).build(DOMAIN, seed=4).judge(group)
    assert verdicts != ChanceConfig(rate=0.3).build(DOMAIN, seed=5).judge(group)
    assert 0.26 < sum(verdict.reward for verdict in verdicts) / 2000 < 0.34


def test_the_critic_answers_the_attempt() -> None:
    group = attempt(task("r12"), ["21", "12"])
    [judgment] = asyncio.run(Critic(RUN, EXACT).handle(group))
    [again] = asyncio.run(Critic(RUN, EXACT).handle(group))
    assert judgment.attempt == group
    assert judgment.verdicts == EXACT.judge(group)
    assert (judgment.critic, judgment.success) == ("exact", 0.5)
    assert judgment.id == again.id
