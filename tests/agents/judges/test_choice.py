"""A policy that chooses: every two answers in both orders, and what a winner is worth."""

import asyncio
from collections.abc import Callable
from random import Random

import pytest
from pydantic import ValidationError

from agents.engines.scripted import ScriptedEngine
from agents.judges.choice import ChoiceConfig
from bus.events import Attempt, Verdict
from tests.agents.asking import DOMAIN, attempt, says, task
from tests.agents.parts import parts_for

CONFIG = ChoiceConfig(template="{prompt}{answer}|{other}?", first="a", second="b")
Script = Callable[[str, int, Random], str]


def judged(script: Script, group: Attempt) -> tuple[Verdict, ...]:
    parts = parts_for(engine=ScriptedEngine(script, version=0))
    return asyncio.run(CONFIG.build(parts).judge(group))


def prefers_the_greater(prompt: str, version: int, random: Random) -> str:
    answer, other = prompt.removeprefix("r12>").removesuffix("?").split("|")
    return "a" if int(answer) > int(other) else "b"


def test_the_share_of_choices_that_an_answer_wins_counts() -> None:
    verdicts = judged(prefers_the_greater, attempt(task("r12"), ["1", "3", "2", "3"]))
    assert [verdict.reward for verdict in verdicts] == [0.0, 1.0, 0.5, 1.0]
    assert all(verdict.known for verdict in verdicts)
    for verdict in verdicts:
        assert len(verdict.combined) == 2
        for each in verdict.combined:
            assert each.turn is not None and not each.turn.trainable


def test_a_judge_that_likes_the_first_place_prefers_nothing() -> None:
    verdicts = judged(says("a"), attempt(task("r12"), ["1", "2", "3"]))
    assert [verdict.reward for verdict in verdicts] == [0.5] * 3


def test_where_nothing_is_chosen_nothing_is_known() -> None:
    for group in (["1", "2"], ["1", "1"]):
        verdicts = judged(says("?"), attempt(task("r12"), group))
        assert [(verdict.reward, verdict.known) for verdict in verdicts] == [(0.0, False)] * 2


def test_an_answer_that_did_not_end_is_worth_nothing_and_not_asked_about() -> None:
    verdicts = judged(prefers_the_greater, attempt(task("r12"), ["1", None, "2"]))
    assert [verdict.reward for verdict in verdicts] == [0.0, 0.0, 1.0]


def test_the_warm_up_shows_both_orders() -> None:
    problem, random = DOMAIN.pose("r12"), Random(0)
    shown = [CONFIG.example(problem, "12", random) for _ in range(40)]
    assert {(one.prompt, one.answer) for one in shown} == {
        ("r12>21|12?", "a"),
        ("r12>12|21?", "b"),
    }


def test_choices_that_read_alike_are_refused() -> None:
    with pytest.raises(ValidationError, match="cannot be told"):
        ChoiceConfig(first="a", second="A")
    with pytest.raises(ValidationError, match="must show"):
        ChoiceConfig(template="{answer}")
