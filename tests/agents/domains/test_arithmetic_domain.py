"""Numbers that are written from their last digit on: texts, answers, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from agents.domains.arithmetic import ArithmeticConfig, digits_of, number_of
from agents.domains.domain import NotATask

ALL = ArithmeticConfig(families=("add", "subtract", "multiply", "copy"))
DIGITS = "0123456789"
OPERANDS = st.integers(1, 60).flatmap(
    lambda count: st.tuples(*[st.text(DIGITS, min_size=count, max_size=count)] * 2)
)


def column_sum(first: str, second: str) -> str:
    """School addition, digit by digit with a carry."""
    carry, answer = 0, ""
    for a, b in zip(first, second, strict=True):
        carry, digit = divmod(int(a) + int(b) + carry, 10)
        answer += str(digit)
    return answer + str(carry)


def test_the_docstring_example() -> None:
    problem = ArithmeticConfig().build().pose("8362+5710")
    assert (problem.prompt, problem.answer, problem.level) == ("8362+5710>", "31820", 4)
    assert problem.question == "Last digit first: 2638 + 175"


@pytest.mark.parametrize(
    ("text", "family", "answer"),
    [
        ("999+999", "add", "8991"),
        ("000+000", "add", "0000"),
        ("001-990", "subtract", "100"),
        ("990*9", "multiply", "1980"),
        ("999*9", "multiply", "1998"),
        ("120=", "copy", "120"),
    ],
)
def test_every_family_is_worked_out(text: str, family: str, answer: str) -> None:
    problem = ALL.build().read(text)
    assert (problem.family, problem.answer, problem.level) == (family, answer, 3)


@given(OPERANDS)
def test_a_sum_is_that_of_school(operands: tuple[str, str]) -> None:
    first, second = operands
    assert ALL.build().pose(f"{first}+{second}").answer == column_sum(first, second)


@given(OPERANDS)
def test_a_difference_is_what_a_sum_takes_back(operands: tuple[str, str]) -> None:
    less, more = sorted(operands, key=number_of)
    answer = ALL.build().pose(f"{more}-{less}").answer
    assert column_sum(answer, less) == more + "0"


@given(digits=st.text(DIGITS, min_size=1, max_size=60), factor=st.integers(2, 9))
def test_a_product_is_that_many_sums(digits: str, factor: int) -> None:
    total = digits + "0"
    for _ in range(factor - 1):
        total = column_sum(total, digits + "0")[:-1]
    assert ALL.build().pose(f"{digits}*{factor}").answer == total


@given(number=st.integers(0, 10**30), more=st.integers(0, 5))
def test_digits_write_their_number(number: int, more: int) -> None:
    assert number_of(digits_of(number, len(str(number)) + more)) == number


def test_a_user_may_leave_the_last_zeros_out() -> None:
    domain = ALL.build()
    assert domain.pose("8362+571>") == domain.pose("8362+5710")
    assert domain.pose("8362").family == "copy"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "unparseable"),
        ("12+3", "unparseable"),
        ("12+34>", "unparseable"),
        ("12+", "unparseable"),
        ("12-13", "unparseable"),
        ("12*1", "unparseable"),
        ("12*12", "unparseable"),
        ("12=1", "unparseable"),
        ("12:34", "unparseable"),
        ("\u0661+1", "unparseable"),
        ("12=", "unknown family"),
        ("123456+123456", "out of range"),
    ],
)
def test_what_a_model_writes_wrongly_is_refused(text: str, reason: str) -> None:
    config = ArithmeticConfig(families=("add", "subtract", "multiply"), levels=(1, 2, 3, 4, 5),
                              warmup_levels=(1, 2))  # fmt: skip
    with pytest.raises(NotATask, match=f"^{reason}$"):
        config.build().read(text)


@pytest.mark.parametrize("question", ["", "a", "1+1+1", "1" * 61, "1-2", "3*0", "\u00b3"])
def test_what_cannot_be_worked_out_is_refused_with_what_to_type(question: str) -> None:
    with pytest.raises(NotATask, match=r"ask for something like 8362\+5710"):
        ALL.build().pose(question)


def test_a_family_that_the_run_does_not_have_cannot_be_asked() -> None:
    for question, family in (("12*3", None), ("1+2", "copy")):
        with pytest.raises(NotATask, match="no family that can be asked: add"):
            ArithmeticConfig().build().pose(question, family)


def test_what_is_held_out_lies_beyond_the_warmup_too() -> None:
    domain = ALL.build()
    assert max(domain.levels) > max(domain.warmup_levels)
    for family in domain.families:
        assert len(domain.held_out(family, 20, 64)) == 64
        assert len(domain.held_out(family, 1, 64)) >= 10


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"families": ["divide"]}, "'add', 'subtract'"),
        ({"levels": [3, 2]}, "ascend"),
        ({"levels": [1, 2], "warmup_levels": [1, 5]}, r"\[5\] are not among levels"),
        ({"held_out_from": 1}, "raise held_out_from"),
        ({"levels": [61]}, "less than or equal to 60"),
    ],
)
def test_a_wrong_configuration_says_what_is_wrong(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ArithmeticConfig.model_validate(fields)


INTERLEAVED = ArithmeticConfig(
    families=("add", "subtract", "multiply", "copy"), layout="interleaved"
)


@pytest.mark.parametrize(
    ("text", "prompt", "answer"),
    [
        ("8362+5710", "+85376120>", "31820"),
        ("+85376120>", "+85376120>", "31820"),
        ("8362-571", "-85376120>", "3642"),
        ("8362*7", "8362*7>", "66481"),
        ("8362", "8362=>", "8362"),
    ],
)
def test_digits_of_a_place_may_stand_side_by_side(text: str, prompt: str, answer: str) -> None:
    problem = INTERLEAVED.build().pose(text)
    assert (problem.prompt, problem.answer) == (prompt, answer)
    assert problem.question == ALL.build().pose(text).question


@given(OPERANDS)
def test_either_layout_asks_for_the_same(operands: tuple[str, str]) -> None:
    plain, other = (config.build().pose("{}+{}".format(*operands)) for config in (ALL, INTERLEAVED))
    assert (plain.answer, plain.level) == (other.answer, other.level)
    assert sorted(plain.prompt) == sorted(other.prompt)


@pytest.mark.parametrize(("config", "text"), [(INTERLEAVED, "12+34"), (ALL, "+1324")])
def test_a_model_writes_in_the_layout_of_the_recipe(config: ArithmeticConfig, text: str) -> None:
    with pytest.raises(NotATask, match=r"^unparseable$"):
        config.build().read(text)
