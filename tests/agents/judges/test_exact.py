"""What the domain's verifier finds is worth what the recipe says."""

import asyncio

import pytest
from pydantic import ValidationError

from agents.judges.exact import ExactConfig
from tests.agents.asking import attempt, task
from tests.agents.parts import parts_for

ANSWERS = ["2413", "3142", "", None]
"""Right, wrong, empty, not ended."""


def rewards(config: ExactConfig) -> list[float]:
    verdicts = asyncio.run(config.build(parts_for()).judge(attempt(task("r3142"), ANSWERS)))
    assert [verdict.right for verdict in verdicts] == [True, False, False, False]
    return [verdict.reward for verdict in verdicts]


def test_by_default_what_is_not_right_is_worth_nothing() -> None:
    assert rewards(ExactConfig()) == [1, 0, 0, 0]


def test_what_is_wrong_and_what_has_no_form_may_cost() -> None:
    assert rewards(ExactConfig(wrong=-0.5, malformed=-1.0)) == [1, -0.5, -1, -1]


def test_nothing_wrong_is_worth_as_much_as_what_is_right() -> None:
    with pytest.raises(ValidationError):
        ExactConfig(wrong=1.0)
