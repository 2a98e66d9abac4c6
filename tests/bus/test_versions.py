"""Versions are found by what they say of themselves, whatever else lies on the topic."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal

import pytest

from bus.errors import BusError
from bus.events import Control, Event, Promotion, Weights, derive_id
from bus.memory.bus import MemoryBus
from bus.records import Record, to_records
from bus.topics import TOPICS
from bus.versions import Versions

GARBAGE = Record(topic="weights", partition=0, offset=-1, key="", headers={}, value=b"?")


def weights(number: int, parent: Weights | None = None) -> Weights:
    return Weights(
        id=derive_id("run", "trainer", f"{number} of {parent.id if parent else 'nobody'}"),
        run="run",
        agent="trainer",
        number=number,
        parent=parent.number if parent else None,
        parent_id=parent.id if parent else None,
        location=f"checkpoints/{number}",
        files={},
        step=number,
        epoch=1,
    )


FIRST = weights(0)
SECOND = weights(1, FIRST)
THIRD = weights(2, SECOND)
ORPHAN = weights(7, weights(6))
CHAIN = (FIRST, SECOND, THIRD)


def moved(number: int, parent: Weights, policy: str) -> Weights:
    return weights(number, parent).model_copy(update={"policy": policy})


def control() -> Record:
    """A readable event that has nothing to do on the topic."""
    id = derive_id("run", "operator", "lost")
    event = Control(id=id, run="run", agent="operator", command="start")
    [record] = to_records([event], TOPICS)
    return replace(record, topic="weights")


def log_of(*records: Event | Record, bus: MemoryBus | None = None) -> MemoryBus:
    bus = MemoryBus() if bus is None else bus
    for one in records:
        asyncio.run(bus.publish([one]) if isinstance(one, Event) else bus.append([one]))
    return bus


def among_strangers() -> MemoryBus:
    """The numbers of the versions are not their offsets, and the last record is no version."""
    return log_of(GARBAGE, FIRST, control(), ORPHAN, GARBAGE, SECOND, GARBAGE, THIRD, GARBAGE)


@pytest.mark.parametrize("made", [lambda: log_of(*CHAIN), among_strangers])
def test_a_chain_is_found_by_numbers_and_parents(made: Callable[[], MemoryBus]) -> None:
    versions = Versions(made().log)
    assert versions.newest() == THIRD
    assert [versions.numbered(number) for number in (2, 0, 1)] == [THIRD, FIRST, SECOND]
    assert versions.numbered(3) is None
    assert versions.parent(THIRD) == SECOND and versions.parent(FIRST) is None
    assert list(versions.lineage(THIRD)) == [THIRD, SECOND, FIRST]
    assert all(versions.follows(one) for one in CHAIN)


def test_nothing_is_found_on_an_empty_log() -> None:
    versions = Versions(MemoryBus().log)
    assert versions.newest() is versions.numbered(0) is versions.promoted() is None


@pytest.mark.parametrize("num_strangers", [1, 15, 16, 17, 40])
def test_the_newest_is_found_before_any_number_of_strangers(num_strangers: int) -> None:
    assert Versions(log_of(*CHAIN, *[GARBAGE] * num_strangers).log).newest() == THIRD
    assert Versions(log_of(*[GARBAGE] * num_strangers).log).newest() is None


def test_a_version_whose_parent_is_not_on_the_log_has_no_place_in_a_chain() -> None:
    versions = Versions(among_strangers().log)
    assert not versions.follows(ORPHAN)
    assert versions.numbered(ORPHAN.number) is None
    assert list(versions.lineage(ORPHAN)) == [ORPHAN]


@pytest.mark.parametrize(
    "changes",
    [
        {"parent": 5},
        {"parent_id": None},
        {"number": 0},
        {"parent": 1, "parent_id": "ab" * 16},
    ],
    ids=["another number of its parent", "no parent", "no older parent", "its own parent"],
)
def test_a_version_that_contradicts_itself_follows_nothing(changes: dict[str, Any]) -> None:
    """And whoever follows it through its forebears comes to an end."""
    stranger = SECOND.model_copy(update={"id": "ab" * 16} | changes)
    versions = Versions(log_of(FIRST, stranger, SECOND).log)
    assert not versions.follows(stranger)
    assert versions.numbered(stranger.number) in (FIRST, SECOND)
    assert list(versions.lineage(stranger)) == [stranger]


def test_the_first_of_two_versions_of_a_number_counts() -> None:
    other = SECOND.model_copy(update={"id": "cd" * 16})
    versions = Versions(log_of(FIRST, SECOND, other).log)
    assert versions.numbered(1) == SECOND


def test_what_is_published_later_is_found_later() -> None:
    bus = log_of(FIRST, GARBAGE)
    versions = Versions(bus.log)
    assert versions.numbered(1) is None
    log_of(SECOND, THIRD, bus=bus)
    assert (versions.newest(), versions.numbered(1)) == (THIRD, SECOND)


def test_an_outage_while_it_looks_hides_no_version() -> None:
    class Failing(MemoryBus):
        fails = 1

        def find(self, event_id: str) -> Record | None:
            if event_id == FIRST.id and self.fails:
                self.fails -= 1
                raise BusError("the broker does not answer")
            return super().find(event_id)

    versions = Versions(log_of(*CHAIN, bus=Failing()).log)
    with pytest.raises(BusError):
        versions.numbered(1)
    assert versions.numbered(1) == SECOND


Decision = Literal["promoted", "rejected", "rolled_back"]


def decided(index: int, decision: Decision, of: Weights) -> Promotion:
    return Promotion(
        id=derive_id("run", "gate", of.id, index),
        run="run",
        agent="gate",
        weights=of.id,
        weights_version=of.number,
        decision=decision,
    )


@pytest.mark.parametrize(
    ("decisions", "expected"),
    [
        ([], None),
        ([("rejected", FIRST)], None),
        ([("promoted", FIRST), ("rejected", SECOND)], FIRST),
        ([("promoted", FIRST), ("promoted", SECOND)], SECOND),
        ([("promoted", FIRST), ("promoted", SECOND), ("rolled_back", SECOND)], FIRST),
        ([("promoted", FIRST), ("promoted", SECOND), ("rolled_back", FIRST)], SECOND),
        ([("promoted", FIRST), ("rolled_back", FIRST)], None),
        ([("promoted", FIRST), ("promoted", SECOND), ("promoted", FIRST)], FIRST),
        ([("promoted", FIRST), ("promoted", weights(9, ORPHAN))], FIRST),
    ],
)
def test_the_last_promoted_version_that_was_not_taken_back(
    decisions: Sequence[tuple[Decision, Weights]], expected: Weights | None
) -> None:
    events = [decided(index, *each) for index, each in enumerate(decisions)]
    at_once = Versions(log_of(*CHAIN, *events).log)
    assert at_once.promoted() == at_once.promoted() == expected

    bus = log_of(*CHAIN)
    step_by_step = Versions(bus.log)
    stranger = replace(GARBAGE, topic="promotions")
    for event in events:
        step_by_step.promoted()
        log_of(stranger, event, bus=bus)
    assert step_by_step.promoted() == expected


def test_of_several_policies_each_has_the_weights_that_moved_it_last() -> None:
    second = moved(1, FIRST, "challenger")
    third = moved(2, second, "current")
    fourth = moved(3, third, "challenger")
    versions = Versions(log_of(FIRST, second, third, fourth).log)
    whole = (FIRST, second, third, fourth)
    found = [versions.moved(each, "challenger").number for each in whole]
    assert found == [0, 1, 1, 3]
    assert [versions.moved(each, "current").number for each in whole] == [0, 0, 2, 2]
    assert versions.moved(fourth, "nobody") == FIRST
    assert versions.moved(ORPHAN, "challenger") == ORPHAN
