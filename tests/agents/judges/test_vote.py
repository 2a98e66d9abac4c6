"""The majority of a group: the reward of test-time reinforcement learning is whether a sample is of
the mode, ties go to the answer that was seen first, and nobody asks what is right."""

import asyncio
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.judges.vote import VoteConfig
from bus.events import Verdict
from tests.agents.asking import attempt, task
from tests.agents.parts import parts_for

ANSWERS = st.lists(st.sampled_from(["1", "2", "3", "", None]), min_size=1, max_size=32)


def judged(answers: Sequence[str | None], threshold: float = 0.0) -> tuple[Verdict, ...]:
    judge = VoteConfig(threshold=threshold).build(parts_for())
    return asyncio.run(judge.judge(attempt(task("r12345"), answers)))


def rewards(answers: Sequence[str | None], threshold: float = 0.0) -> list[float]:
    return [verdict.reward for verdict in judged(answers, threshold)]


@given(ANSWERS)
def test_the_reward_is_whether_a_sample_is_of_the_mode(answers: list[str | None]) -> None:
    ended = Counter(answer for answer in answers if answer is not None)
    most = max(ended.values(), default=0)
    modes = [answer for answer in answers if answer is not None and ended[answer] == most]
    expected = [float(bool(modes) and answer == modes[0]) for answer in answers]
    assert rewards(answers) == expected


@given(ANSWERS, st.sampled_from(["54321", "1", "none of them"]))
def test_the_right_answer_makes_no_difference(answers: list[str | None], right: str) -> None:
    asked = task("r12345")
    other = asked.model_copy(update={"answer": right})
    judge = VoteConfig().build(parts_for())
    first, second = (asyncio.run(judge.judge(attempt(one, answers))) for one in (asked, other))
    assert first == second


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (["2", "1", "1", "2"], [1, 0, 0, 1]),
        (["1", "2", "2", "1"], [1, 0, 0, 1]),
        (["3", "1", "2"], [1, 0, 0]),
        ([None, None, "1"], [0, 0, 1]),
        ([None, None], [0, 0]),
    ],
)
def test_ties_go_to_the_first_seen_and_what_did_not_end_has_no_vote(
    answers: list[str | None], expected: list[int]
) -> None:
    assert rewards(answers) == expected


def test_ways_that_end_alike_agree() -> None:
    answers = ["1;2", "7;2", "2", "1;3", None]
    judge = VoteConfig(threshold=0.0, behind=";").build(parts_for())
    verdicts = asyncio.run(judge.judge(attempt(task("r12345"), answers)))
    assert [verdict.reward for verdict in verdicts] == [1, 1, 1, 0, 0]
    assert rewards(answers) == [1, 0, 0, 0, 0]


def test_a_label_needs_its_share_of_all_samples() -> None:
    assert rewards(["1", "1", "2", None], 0.5) == [1, 1, 0, 0]
    below = judged(["1", "1", "2", None], 0.51)
    assert [verdict.reward for verdict in below] == [0, 0, 0, 0]
    assert not any(verdict.known for verdict in below)
    assert {verdict.scores["agreement"] for verdict in below} == {0.5}
