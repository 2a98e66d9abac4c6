"""Tasks about programs: deduced, abduced, induced; what counts as right, and what is refused."""

from itertools import product
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from agents.domains.domain import NotATask, Problem
from agents.domains.programs.language import OPERATIONS, run
from agents.domains.programs.programs import Programs, ProgramsConfig
from agents.domains.programs.tasks import HELD_BACK, SHOWN
from tests.agents.domains.programs.reference import evaluate

DOMAIN = ProgramsConfig(levels=tuple(range(1, 10))).build()
ALPHABET = set("0123456789+-*=:abcdefghijklmnopqrstuvwxyz,;>PS#|")


def reason(problem: Problem, answer: str) -> str:
    return DOMAIN.score(problem, answer, ended=True).reason


def test_the_docstring_example() -> None:
    deduction, abduction, induction = (DOMAIN.read(f"{letter}rn:3142") for letter in "dai")
    assert (deduction.prompt, deduction.answer) == ("drn:3142>", "3524")
    assert (abduction.prompt, abduction.answer) == ("arn=3524,4>", "3142")
    assert induction.prompt.startswith("i2,3142:3524;")
    assert induction.answer == "rn"
    asked = DOMAIN.pose("i2,3142:3524;076:781;55:66>")
    assert reason(asked, "rn") == reason(asked, "nr") == "right"


@settings(deadline=None)
@given(seed=st.integers(0, 2**32), level=st.integers(1, 9), family=st.sampled_from(DOMAIN.families))
def test_what_is_made_agrees_with_the_reference(seed: int, level: int, family: str) -> None:
    problem = DOMAIN.make(family, level, Random(seed))
    known = problem.metadata
    output = evaluate(known["program"], known["input"])
    expected = {"deduction": output, "abduction": known["input"], "induction": known["program"]}
    assert problem.answer == expected[family]
    assert set(problem.prompt + problem.answer + DOMAIN.write(problem)) <= ALPHABET
    if family == "abduction":
        assert known["output"] == output
    if family == "induction":
        pairs = [*known["shown"], *known["held_back"]]
        assert (len(known["shown"]), len(pairs)) == (SHOWN, SHOWN + HELD_BACK)
        assert all(evaluate(known["program"], value) == result for value, result in pairs)
        assert len({value for value, _ in pairs}) == len(pairs)


def test_every_input_that_gives_the_output_counts_and_no_other() -> None:
    problem = DOMAIN.read("asu:3131")
    assert problem.prompt == "asu=13,4>"
    for count in range(1, 6):
        for digits in product("0123", repeat=count):
            answer = "".join(digits)
            right = count <= 4 and evaluate("su", answer) == "13"
            assert (reason(problem, answer) == "right") == right, answer
    assert reason(problem, "31131") == "too long"
    assert reason(problem, "\u0661\u0663") == "unreadable"


def test_every_program_that_gives_all_examples_counts_and_no_other() -> None:
    problem = DOMAIN.read("irn:3142")
    pairs = [*problem.metadata["shown"], *problem.metadata["held_back"]]
    for length in (1, 2):
        for letters in product(OPERATIONS, repeat=length):
            program = "".join(letters)
            right = all(run(program, value) == output for value, output in pairs)
            assert (reason(problem, program) == "right") == right, program
    assert reason(problem, "nr") == "right"
    assert reason(problem, "rrrn") == "too long"
    assert reason(problem, "xy") == "unreadable"


def test_a_program_that_fits_what_is_shown_alone_is_wrong() -> None:
    problem = DOMAIN.read("is:3142")
    shown = [["123", "123"], ["05", "05"]]
    told = {**problem.metadata, "shown": shown}
    fooled = Problem(
        family="induction",
        level=1,
        prompt="i1,123:123;05:05>",
        question="",
        answer="s",
        metadata=told,
    )
    assert reason(fooled, "u") == "wrong on other examples"
    assert reason(fooled, "s") == "right"


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("", "unparseable"),
        ("drn", "unparseable"),
        ("drn:", "unparseable"),
        ("d:3142", "unparseable"),
        ("drn:3142>", "unparseable"),
        ("drx:3142", "unparseable"),
        ("drn:31 42", "unparseable"),
        ("drn:\u0663\u0661\u0664\u0662", "unparseable"),
        ("d\u0433n:3142", "unparseable"),
        ("DRN:3142", "unparseable"),
        ("xrn:3142", "unknown family"),
        ("irn:3142", "unknown family"),
        ("drnt:3142", "out of range"),
        ("drn:31", "out of range"),
        ("drn:314251", "out of range"),
        ("d" + "r" * 100_000 + ":3142", "out of range"),
        ("drn:" + "3" * 100_000, "out of range"),
        ("de:1357", "out of range"),
        ("drr:3142", "trivial"),
        ("drs:3142", "trivial"),
        ("dhk:3142", "trivial"),
        ("dcc:3142", "trivial"),
    ],
)
def test_a_proposal_is_refused_with_its_reason(text: str, refusal: str) -> None:
    domain = ProgramsConfig(families=("deduction", "abduction"), levels=(1, 2)).build()
    with pytest.raises(NotATask, match=f"^{refusal}$"):
        domain.read(text)


def test_nothing_that_is_made_is_trivial_or_without_an_output() -> None:
    domain = ProgramsConfig().build()
    for family in domain.families:
        for seed in range(200):
            problem = domain.make(family, 1 + seed % 6, Random(seed))
            assert domain.read(domain.write(problem)) == problem


def test_a_user_may_pose_a_program_a_prompt_or_a_written_task() -> None:
    assert DOMAIN.pose("rn:3142") == DOMAIN.pose("drn:3142") == DOMAIN.pose("drn:3142>")
    assert DOMAIN.pose("rn:3142", "abduction") == DOMAIN.read("arn:3142")
    unknown = DOMAIN.pose("arn=3524,4>")
    assert (unknown.prompt, unknown.answer, reason(unknown, "3142")) == ("arn=3524,4>", "", "right")


@pytest.mark.parametrize("question", ["", "3142", "rn:", "xx:31", "a" * 400, "i2,3142", "ax=1,1>"])
def test_what_states_no_task_is_refused_with_what_to_type(question: str) -> None:
    with pytest.raises(NotATask, match="ask for something like drn:3142"):
        DOMAIN.pose(question)


def test_a_family_that_the_run_does_not_have_cannot_be_asked() -> None:
    domain: Programs = ProgramsConfig(families=("deduction",)).build()
    for question, family in (("arn:3142", None), ("arn=3524,4>", None), ("drn:3142", "abduction")):
        with pytest.raises(NotATask, match="no family that can be asked"):
            domain.pose(question, family)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"families": ["guess"]}, "'deduction', 'abduction' or 'induction'"),
        ({"levels": [3, 2]}, "ascend"),
        ({"levels": [1, 2], "warmup_levels": [1, 5]}, r"\[5\] are not among levels"),
        ({"levels": [10]}, "less than or equal to 9"),
        ({"min_digits": 6}, "min_digits 6 is above max_digits 5"),
    ],
)
def test_a_wrong_configuration_says_what_is_wrong(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ProgramsConfig.model_validate(fields)
