"""Deductions that are answered step by step: what is left to run; the end is judged."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from agents.domains.domain import NotATask, Problem
from agents.domains.programs.programs import ProgramsConfig
from agents.domains.programs.tasks import MAX_OUTPUT
from tests.agents.domains.programs.reference import evaluate

LEVELS = tuple(range(1, 10))
PLAIN = ProgramsConfig(families=("deduction",), levels=LEVELS).build()
STEPWISE = ProgramsConfig(families=("deduction",), levels=LEVELS, rationale=True).build()


def reason(problem: Problem, answer: str) -> str:
    return STEPWISE.score(problem, answer, ended=True).reason


def test_the_answer_is_what_is_left_to_run_after_each_operation() -> None:
    problem = STEPWISE.read("drn:3142")
    assert (problem.prompt, problem.answer) == ("drn:3142>", "n:2413;3524")
    assert problem.metadata["output"] == "3524"
    assert STEPWISE.read("dr:3142").answer == "2413"


@settings(deadline=None)
@given(seed=st.integers(0, 2**32), level=st.integers(1, 9))
def test_a_rationale_is_what_the_reference_gives_and_fits(seed: int, level: int) -> None:
    problem = STEPWISE.make("deduction", level, Random(seed))
    program, value = problem.metadata["program"], problem.metadata["input"]
    values = [evaluate(program[:end], value) for end in range(1, level + 1)]
    left = [f"{program[end:]}:{values[end - 1]}" for end in range(1, level)]
    assert problem.answer == ";".join([*left, values[-1]])
    assert all(0 < len(each) <= MAX_OUTPUT for each in values)
    assert len(problem.answer) + 1 < STEPWISE.max_answer_tokens(level)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("n:2413;3524", "right"),
        ("2413;3524", "right"),
        ("9999;3524", "right"),
        ("3524", "right"),
        ("1;2;3;3524", "right"),
        ("3524;2413", "wrong"),
        ("n:2413;35241", "wrong"),
        ("n:2413;3524;", "unreadable"),
        ("n:3524", "unreadable"),
        ("", "empty"),
    ],
)
def test_the_last_value_alone_is_judged(answer: str, said: str) -> None:
    assert reason(STEPWISE.read("drn:3142"), answer) == said


def test_without_a_rationale_an_answer_is_the_output_and_nothing_else() -> None:
    problem = PLAIN.read("drn:3142")
    assert problem.answer == "3524" and "output" not in problem.metadata
    assert PLAIN.score(problem, "2413;3524", ended=True).reason == "unreadable"
    assert PLAIN.max_answer_tokens(9) == MAX_OUTPUT + 2


@pytest.mark.parametrize("text", ["dek:1357", "dddq:31425"])
def test_what_passes_nothing_or_too_much_is_no_task_with_a_rationale(text: str) -> None:
    assert PLAIN.read(text).answer
    with pytest.raises(NotATask, match="out of range"):
        STEPWISE.read(text)


def test_a_rationale_is_for_deductions() -> None:
    with pytest.raises(ValidationError, match="add 'deduction' to families"):
        ProgramsConfig(families=("abduction",), rationale=True)
