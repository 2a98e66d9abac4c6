"""The critic and its judges: one verdict per sample, whatever the sample says."""

import asyncio

import pytest

from agents.critic import Critic, brief
from agents.judges.chance import ChanceConfig
from agents.judges.exact import ExactConfig
from agents.judges.judge import Judge
from agents.judges.vote import VoteConfig
from bus.codec import can_be_written
from bus.events import Attempt, Verdict
from bus.runner import Rejected
from tests.agents.asking import RUN, attempt, task
from tests.agents.parts import parts_for

PARTS = parts_for()
EXACT: Judge = ExactConfig().build(PARTS)
WEIRD = ["", "21\x00", "２１", "9" * 5000, "\ud7ff", "nan", "-21", " 21"]


def judge(judge: Judge, group: Attempt) -> tuple[Verdict, ...]:
    return asyncio.run(judge.judge(group))


def test_the_exact_judge_says_right_wrong_empty_or_not_ended() -> None:
    verdicts = judge(EXACT, attempt(task("r12"), ["21", "12", "", None]))
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
    assert [verdict.reward for verdict in judge(EXACT, group)] == [1.0, 0.0]


@pytest.mark.parametrize(
    "judged_by",
    [EXACT, VoteConfig().build(PARTS), ChanceConfig().build(PARTS)],
    ids=["exact", "vote", "chance"],
)
def test_a_strange_answer_is_data(judged_by: Judge) -> None:
    verdicts = judge(judged_by, attempt(task("r12"), [*WEIRD, None]))
    assert len(verdicts) == len(WEIRD) + 1
    assert all(verdict.reward in (0.0, 1.0) for verdict in verdicts)


def test_the_majority_is_right() -> None:
    vote = VoteConfig(threshold=0.5).build(PARTS)
    verdicts = judge(vote, attempt(task("r12"), ["12", "12", "21", None]))
    assert [verdict.reward for verdict in verdicts] == [1.0, 1.0, 0.0, 0.0]
    assert [verdict.reason for verdict in verdicts] == [
        "majority",
        "majority",
        "minority",
        "not ended",
    ]
    assert {verdict.scores["agreement"] for verdict in verdicts} == {0.5}


def test_without_a_majority_nobody_is_right() -> None:
    vote = VoteConfig(threshold=0.6).build(PARTS)
    verdicts = judge(vote, attempt(task("r12"), ["12", "12", "21", None]))
    assert {verdict.reward for verdict in verdicts} == {0.0}
    assert {verdict.reason for verdict in verdicts} == {"no majority", "not ended"}


def test_answers_that_did_not_end_have_no_vote() -> None:
    vote = VoteConfig(threshold=0.0).build(PARTS)
    assert [verdict.reward for verdict in judge(vote, attempt(task("r12"), [None, None]))] == [0, 0]
    assert [verdict.reward for verdict in judge(vote, attempt(task("r12"), [None, "7"]))] == [0, 1]


def test_the_vote_does_not_look_at_the_reference() -> None:
    vote = VoteConfig().build(PARTS)
    group = attempt(task("r12"), ["7", "7", "21"])
    other = group.model_copy(
        update={"task": group.task.model_copy(update={"answer": "something else"})}
    )
    assert judge(vote, group) == judge(vote, other)


def test_coins_fall_the_same_way_again_and_as_often_as_they_should() -> None:
    chance = ChanceConfig(rate=0.3).build(parts_for(seed=4))
    group = attempt(task("r12"), ["21"] * 2000)
    verdicts = judge(chance, group)
    assert verdicts == judge(ChanceConfig(rate=0.3).build(parts_for(seed=4)), group)
    assert verdicts != judge(ChanceConfig(rate=0.3).build(parts_for(seed=5)), group)
    assert 0.26 < sum(verdict.reward for verdict in verdicts) / 2000 < 0.34


def test_the_critic_answers_the_attempt() -> None:
    group = attempt(task("r12"), ["21", "12"])
    [judgment] = asyncio.run(Critic(RUN, EXACT, "exact").handle(group))
    [again] = asyncio.run(Critic(RUN, EXACT, "exact").handle(group))
    assert judgment.attempt == group
    assert judgment.verdicts == judge(EXACT, group)
    assert (judgment.critic, judgment.success) == ("exact", 0.5)
    assert judgment.id == again.id


@pytest.mark.parametrize(
    ("rewards", "said"),
    [((1.0,), "sloppy gave 1 verdicts for 2 samples"), ((1.0, float("nan")), "is no number")],
)
def test_an_attempt_without_proper_verdicts_is_rejected(
    rewards: tuple[float, ...], said: str
) -> None:
    class Sloppy:
        async def judge(self, attempt: Attempt) -> tuple[Verdict, ...]:
            return tuple(
                Verdict(scores={}, reward=one, reason="so", provenance="sloppy") for one in rewards
            )

    critic = Critic(RUN, Sloppy(), "sloppy")
    with pytest.raises(Rejected, match=said):
        asyncio.run(critic.handle(attempt(task("r12"), ["21", "12"])))


def test_a_legal_attempt_has_a_legal_judgment_whatever_the_judge_says() -> None:
    class Talker:
        async def judge(self, event: Attempt) -> tuple[Verdict, ...]:
            [first] = (sample.turns[0] for sample in event.samples[:1])
            said = first.model_copy(update={"text": "z" * 400_000})
            whole = Verdict(
                scores={"right": 1.0}, reward=1.0, reason="y" * 300_000, provenance="talker",
                turn=said,
            )  # fmt: skip
            return (whole.model_copy(update={"combined": (whole,)}),) * len(event.samples)

    group = attempt(task("r12"), ["21"] * 64)
    turn = group.samples[0].turns[0].model_copy(update={"text": "x" * 14_600_000})
    sample = group.samples[0].model_copy(update={"turns": (turn,)})
    group = group.model_copy(update={"samples": (sample, *group.samples[1:])})
    assert can_be_written(group)
    [judgment] = asyncio.run(Critic(RUN, Talker(), "talker").handle(group))
    assert can_be_written(judgment)
    assert {verdict.reward for verdict in judgment.verdicts} == {1.0}
    assert {verdict.scores["right"] for verdict in judgment.verdicts} == {1.0}


def test_a_short_verdict_stays_as_it_is() -> None:
    spoken = attempt(task("r12"), ["21"]).samples[0].turns[0]
    verdict = Verdict(scores={}, reward=0.0, reason="r" * 900, provenance="model", turn=spoken)
    assert brief((verdict,) * 8) == (verdict,) * 8
