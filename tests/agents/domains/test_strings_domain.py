"""Digit strings: their texts, their answers, and what the configuration refuses."""

from random import Random

import pytest
from pydantic import ValidationError

from agents.domains.domain import NotATask
from agents.domains.strings import StringsConfig


def test_the_docstring_example() -> None:
    domain = StringsConfig().build()
    reverse, sort = domain.pose("3142"), domain.pose("3142", family="sort")
    assert (reverse.prompt, reverse.answer, reverse.level) == ("r3142>", "2413", 4)
    assert (sort.prompt, sort.answer, sort.question) == ("s3142>", "1234", "Sort the digits 3142")


def test_a_user_may_type_the_family_letter_or_the_whole_prompt() -> None:
    domain = StringsConfig().build()
    assert domain.pose("s0312") == domain.pose("s0312>") == domain.pose("0312", family="sort")


@pytest.mark.parametrize("question", ["", "abc", "31-42", "³", "1" * 61])
def test_what_is_no_string_of_digits_is_refused_with_what_to_type(question: str) -> None:
    with pytest.raises(NotATask, match="ask for something like 3142"):
        StringsConfig().build().pose(question)


def test_a_family_that_the_run_does_not_have_cannot_be_asked() -> None:
    domain = StringsConfig(families=("reverse",)).build()
    for question, family in (("s3142", None), ("3142", "sort"), ("r3142", "sort")):
        with pytest.raises(NotATask, match="no family that can be asked: reverse"):
            domain.pose(question, family)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "unparseable"),
        ("r", "unparseable"),
        ("r12>", "unparseable"),
        ("rr12", "unparseable"),
        ("12", "unparseable"),
        ("r١٢", "unparseable"),
        ("s12", "unknown family"),
        ("x12", "unknown family"),
        ("r123456", "out of range"),
    ],
)
def test_what_a_model_writes_wrongly_is_refused(text: str, reason: str) -> None:
    domain = StringsConfig(families=("reverse",), levels=(1, 2, 3, 4, 5)).build()
    with pytest.raises(NotATask, match=f"^{reason}$"):
        domain.read(text)


def test_short_levels_are_not_held_out() -> None:
    domain = StringsConfig().build()
    assert len(domain.held_out("reverse", 1, 64)) == 10
    assert {domain.make("reverse", 1, Random(seed)).answer for seed in range(200)} == set(
        "0123456789"
    )


def test_a_wrong_answer_gets_nothing_however_close() -> None:
    domain = StringsConfig().build()
    problem = domain.pose("3142")
    for answer, ended, reason in [
        ("2413", False, "not ended"),
        ("241", True, "wrong"),
        ("", True, "empty"),
    ]:
        score = domain.score(problem, answer, ended)
        assert (score.value, score.reason) == (0.0, reason)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"families": ["rotate"]}, "'reverse' or 'sort'"),
        ({"families": []}, "at least 1"),
        ({"levels": [3, 2]}, "ascend"),
        ({"levels": [1, 2], "warmup_levels": [1, 5]}, r"\[5\] are not among levels"),
        ({"held_out_from": 1}, "raise held_out_from"),
        ({"lengths": [1]}, "Extra inputs"),
    ],
)
def test_a_wrong_configuration_says_what_is_wrong(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        StringsConfig.model_validate(fields)
