"""How often labels are right, how far groups agree: a fold of judgments."""

import asyncio

import pytest

from bus.memory.bus import MemoryBus
from observability.progress.votes import votes, votes_of_newest
from tests.agents.guards.test_guards import batch, judged, log_of


def test_of_nothing_there_is_nothing() -> None:
    assert votes([]) is None
    assert votes_of_newest(MemoryBus().log) is None


def test_a_label_is_measured_against_the_answer_of_its_task() -> None:
    found = votes(
        [
            judged("r12345", ["54321", "54321", "1", "2"]),
            judged("r67890", ["1", "1", "1", "09876"]),
            judged("r13579", [None] * 4),
        ]
    )
    assert found is not None
    assert (found.groups, found.label_accuracy) == (3, 0.5)
    assert found.labelled == pytest.approx(2 / 3)
    assert found.agreement == pytest.approx((0.5 + 0.75 + 0) / 3)
    assert found.unique == pytest.approx((0.75 + 0.5 + 0.25) / 3)
    assert found.entropy == pytest.approx(0.5)
    assert str(found) == (
        "67% of 3 groups labelled, 50% of them right; 42% of a group agree, 50% of its answers "
        "differ"
    )


def test_they_are_those_of_the_newest_version() -> None:
    bus, _ = asyncio.run(log_of([batch(0, says="7"), batch(1)]))
    found = votes_of_newest(bus.log)
    assert found is not None and found == votes(batch(1))
    assert found.label_accuracy == 1.0
