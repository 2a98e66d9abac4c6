"""A policy that grades: the mean of several grades, what says nothing, and what it is shown."""

import asyncio
from collections.abc import Callable
from random import Random

import pytest
from pydantic import ValidationError

from agents.critic import Critic
from agents.engines.scripted import ScriptedEngine
from agents.judges.policy import PolicyJudgeConfig
from bus.events import Attempt, Verdict
from tests.agents.asking import DOMAIN, RUN, attempt, says, task
from tests.agents.parts import parts_for

TEMPLATE = "{prompt}{answer}?"


def graded(
    replies: Callable[[str, int, Random], str], group: Attempt, judgments: int = 3
) -> tuple[Verdict, ...]:
    config = PolicyJudgeConfig(template=TEMPLATE, scale=("n", "y"), judgments=judgments)
    parts = parts_for(engine=ScriptedEngine(replies, version=7))
    return asyncio.run(config.build(parts).judge(group))


def in_turn(*replies: str) -> Callable[[str, int, Random], str]:
    left = list(replies)
    return lambda prompt, version, random: left.pop(0)


def test_the_reward_is_the_mean_of_the_grades() -> None:
    [verdict] = graded(in_turn("y", "n", "y"), attempt(task("r12"), ["21"]))
    assert verdict.reward == pytest.approx(2 / 3)
    assert [one.reward for one in verdict.combined] == [1, 0, 1]
    assert not verdict.right
    assert verdict.known


def test_what_says_nothing_is_left_out_of_the_mean() -> None:
    [verdict] = graded(in_turn("?", "y", "y"), attempt(task("r12"), ["21"]))
    assert (verdict.reward, verdict.known, verdict.reason) == (1.0, True, "approved")
    [verdict] = graded(says("?"), attempt(task("r12"), ["21"]))
    assert (verdict.reward, verdict.known, verdict.reason) == (0.0, False, "no grade")


def test_every_grade_stands_in_the_verdict_and_is_not_learned_from() -> None:
    group = attempt(task("r12"), ["21"])
    config = PolicyJudgeConfig(template=TEMPLATE, scale=("n", "y"), policy="reference")
    own = ScriptedEngine(says("y"), version=7)
    parts = parts_for(others={"reference": own})
    [judgment] = asyncio.run(Critic(RUN, config.build(parts), "policy").handle(group))
    [verdict] = judgment.verdicts
    turns = [one.turn for one in verdict.combined]
    assert [turn and (turn.seat, turn.policy, turn.trainable) for turn in turns] == [
        ("judge", "reference", False)
    ] * 3
    assert {own.decode(turn.prompt_tokens) for turn in turns if turn} == {"r12>21?"}
    assert judgment.attempt.oldest_version == 0


def test_an_answer_that_did_not_end_is_worth_nothing_unasked() -> None:
    asked: list[str] = []

    def notes(prompt: str, version: int, random: Random) -> str:
        asked.append(prompt)
        return "y"

    verdicts = graded(notes, attempt(task("r12"), ["21", None, "21"]), judgments=1)
    assert [verdict.reward for verdict in verdicts] == [1, 0, 1]
    assert [verdict.known for verdict in verdicts] == [True] * 3
    assert asked == ["r12>21?"]


@pytest.mark.parametrize(
    ("reply", "worth"),
    [("0", 0.0), ("5", 0.5), ("10", 1.0), (" 10.", 1.0), ("1", 0.1), ("x", None), ("", None)],
)
def test_the_longest_grade_that_a_reply_begins_with_counts(reply: str, worth: float | None) -> None:
    config = PolicyJudgeConfig(scale=tuple(str(grade) for grade in range(11)))
    assert config.grade(reply, "21") == worth


def test_the_warm_up_shows_right_answers_as_the_best_and_wrong_ones_below() -> None:
    problem = DOMAIN.pose("r1234")
    for scale, below in ((("n", "y"), "n"), (("0", "1", "2", "3", "4"), "3")):
        config = PolicyJudgeConfig(template=TEMPLATE, scale=scale)
        random = Random(0)
        shown = {
            (one.prompt, one.answer)
            for one in (config.example(problem, "4325", random) for _ in range(40))
        }
        assert shown == {("r1234>4321?", scale[-1]), ("r1234>4325?", below)}


def test_with_a_rationale_the_end_of_a_reply_counts() -> None:
    config = PolicyJudgeConfig(template=TEMPLATE, scale=("n", "y"), rationale=True)
    said = ("4321y", "43n", "n", "y43", "432y", "4325n", "12y", "y")
    grades = [1.0, 0.0, 0.0, None, None, None, None, None]
    assert [config.grade(each, "4321") for each in said] == grades
    problem, random = DOMAIN.pose("r1234"), Random(0)
    shown = [config.example(problem, "4325", random) for _ in range(40)]
    assert {(one.prompt, one.answer) for one in shown} == {
        ("r1234>4321?", "4321y"),
        ("r1234>4325?", "432n"),
    }


@pytest.mark.parametrize(
    "settings", [{"template": "{prompt}"}, {"scale": ("y",)}, {"scale": ("y", "Y")}]
)
def test_what_cannot_be_judged_by_is_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        PolicyJudgeConfig.model_validate(settings)
