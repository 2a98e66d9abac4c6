"""Scorers by name: what each takes for right, and what it does not."""

from time import process_time

import pytest

from agents.domains.dataset.scoring import Scorer, number_in, score
from agents.domains.domain import Problem
from evolvent.contract.texts import hostile


def problem(answer: str, *others: str) -> Problem:
    metadata = {"accepted": [answer, *others]} if others else {}
    return Problem(
        family="all", level=1, prompt="p", question="p", answer=answer, metadata=metadata
    )


@pytest.mark.parametrize(
    ("scorer", "known", "right", "wrong"),
    [
        ("exact", "Paris", ["Paris", " Paris\n"], ["paris", "Paris!", "Par is", "ParisParis"]),
        ("casefold", "Straße", ["STRASSE", " straße "], ["Strase", "strasse!"]),
        (
            "numeric",
            "1,234.5",
            ["1234.5", "so it is 1,234.50.", "first 7, then +1234.5000001", "x=1.2345e3"],
            ["1234.6", "1234.5 7", "1234.5x", "x1234.5", "-1234.5", "12,34.5", "1234.51"],
        ),
        ("numeric", "#### 42", ["42", "the answer is 42.", "(42)"], ["421", "4 2", "42.1", "a42"]),
        ("one_of", "yes", ["yes", "yep "], ["Yes", "no", "yes yep"]),
    ],
)
def test_a_scorer_knows_right_from_wrong(
    scorer: Scorer, known: str, right: list[str], wrong: list[str]
) -> None:
    asked = problem(known, "yep") if scorer == "one_of" else problem(known)
    for answer in right:
        assert score(asked, answer, True, scorer, 1e-3).right, answer
        assert score(asked, answer, False, scorer, 1e-3).reason == "not ended"
    for answer in wrong:
        assert not score(asked, answer, True, scorer, 1e-3).right, answer


def test_a_reason_says_what_is_missing() -> None:
    assert score(problem("4"), " ", True, "numeric", 0).reason == "empty"
    assert score(problem("4"), "four", True, "numeric", 0).reason == "no number"
    assert score(problem(""), "four", True, "exact", 0).reason == "no known answer"


@pytest.mark.parametrize(
    ("text", "number"),
    [("-3", -3), ("3-4", 4), ("x = -4", -4), ("5%", 5), ("1e400", None), ("٣", None), ("", None)],
)
def test_the_last_number_in_a_text(text: str, number: float | None) -> None:
    assert number_in(text) == number


def test_no_answer_takes_long() -> None:
    for text in (*hostile("1,234.5e6"), "1,111" * 60_000, "1." * 150_000, "+-" * 150_000):
        started = process_time()
        score(problem("4"), text, True, "numeric", 0)
        assert process_time() - started < 1.0, text[:20]
