"""Codes: at level 1 nothing can be known of them, from level 2 on each has one meaning."""

from collections import defaultdict
from random import Random

import pytest
from pydantic import ValidationError

from agents.domains.domain import NotATask
from agents.domains.programs.codes import CodesConfig
from agents.domains.programs.language import OPERATIONS, run

CONFIG = CodesConfig(codes=5)
DOMAIN = CONFIG.build()


def meanings(level: int) -> dict[str, set[str]]:
    """What the codes of a few hundred problems stood for."""
    found: dict[str, set[str]] = defaultdict(set)
    random = Random(1)
    for _ in range(300):
        problem = DOMAIN.make("codes", level, random)
        value = problem.prompt[3:-1]
        gives = {run(letter, value): letter for letter in CONFIG.operations}
        assert len(gives) == len(CONFIG.operations), "two operations could not be told apart"
        letter = gives[problem.answer]
        assert problem.metadata["mistakes"] == {
            f"-{other}": output for output, other in gives.items() if other != letter
        }
        found[problem.metadata["code"]].add(letter)
    return found


def test_a_warm_up_says_nothing_of_a_code() -> None:
    assert set(map(len, meanings(1).values())) == {len(CONFIG.operations)}


def test_a_code_has_one_meaning_that_follows_from_the_seed() -> None:
    found = meanings(2)
    assert len(found) == 5 and set(map(len, found.values())) == {1}
    other = CodesConfig(codes=5, seed=2).build()
    assert {other.make("codes", 2, Random(n)).prompt[:2] for n in range(50)} != set(found)


def test_a_task_does_not_tell_its_meaning() -> None:
    problem = DOMAIN.make("codes", 2, Random(1))
    assert problem.question == f"What {problem.prompt[:2]} makes of {problem.prompt[3:-1]}"


@pytest.mark.parametrize(
    "question", ["qq:314", "314", "", "{code}:31", "{code}:31x", "{code}:31415"]
)
def test_what_is_no_task_is_refused_with_an_example(question: str) -> None:
    code = DOMAIN.make("codes", 2, Random(1)).metadata["code"]
    with pytest.raises(NotATask, match="ask for something like"):
        DOMAIN.pose(question.replace("{code}", code))


@pytest.mark.parametrize("operations", ["r", "rr", "r!", "".join(OPERATIONS)])
def test_operations_that_cannot_be_told_apart_are_refused(operations: str) -> None:
    with pytest.raises(ValidationError):
        CodesConfig(operations=operations)
