"""A judge that asks nobody: what the solver found likely is worth more."""

import asyncio
from math import exp

import pytest

from agents.judges.implicit import ImplicitConfig
from bus.events import Sample
from tests.agents.asking import attempt, task
from tests.agents.parts import parts_for


def test_a_sample_is_worth_the_geometric_mean_of_its_probabilities() -> None:
    group = attempt(task("r12"), ["21", "12", None])
    likely = (
        group.samples[0].turns[0].model_copy(update={"tokens": (2, 3), "logprobs": (-0.1, -0.3)})
    )
    group = group.model_copy(update={"samples": (Sample(turns=(likely,)), *group.samples[1:])})
    verdicts = asyncio.run(ImplicitConfig().build(parts_for()).judge(group))
    assert [verdict.reward for verdict in verdicts] == pytest.approx([exp(-0.2), exp(-0.5), 0.0])
    assert all(verdict.known and verdict.turn is None for verdict in verdicts)
    assert not any(verdict.right for verdict in verdicts)


def test_of_what_nobody_drew_nothing_is_known() -> None:
    group = attempt(task("r12"), ["21"])
    other = group.samples[0].turns[0].model_copy(update={"trainable": False})
    group = group.model_copy(update={"samples": (Sample(turns=(other,)),)})
    [verdict] = asyncio.run(ImplicitConfig().build(parts_for()).judge(group))
    assert (verdict.reward, verdict.known) == (0.0, False)
