"""The proposer: never more open tasks than pacing allows, the same tasks on every retry."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from agents.proposer import Proposer, last_curriculum
from agents.sources.curriculum import CurriculumConfig
from agents.sources.source import Source
from agents.sources.uniform import Uniform
from bus.bus import Bus
from bus.events import Curriculum, Event, LevelCount, Task
from bus.memory.bus import MemoryBus
from tests.agents.asking import AT, DOMAIN, weights
from tests.agents.parts import parts_for

WEIGHTS = [
    weights(0),
    weights(1, 8, [LevelCount(family="reverse", level=3, tasks=8, samples=16, correct=15)]),
    weights(2, 16, [LevelCount(family="sort", level=3, tasks=8, samples=16, correct=9)]),
]


def proposer(
    source: Source | None = None, batch: int = 8, ahead: int = 1, bus: Bus | None = None
) -> Proposer:
    """Asks by `source`, or else by the rule curriculum."""
    parts = parts_for(bus=bus, seed=5)

    def make_source(settings: Mapping[str, Any]) -> Source:
        return source or CurriculumConfig.model_validate(settings).build(parts)

    return Proposer(parts, make_source, named="curriculum", batch=batch, ahead=ahead)


def timeless(events: Sequence[Event]) -> list[Event]:
    return [event.model_copy(update={"created_at": AT}) for event in events]


def handle(role: Proposer, number: int) -> list[Event]:
    return timeless(asyncio.run(role.handle(WEIGHTS[number])))


@settings(max_examples=100, deadline=None)
@given(
    batch=st.integers(1, 20),
    ahead=st.integers(0, 3),
    shares=st.lists(st.floats(0, 1), max_size=12),
)
def test_no_more_tasks_are_open_than_pacing_allows(
    batch: int, ahead: int, shares: list[float]
) -> None:
    """Whatever part of the open tasks each version consumes, even more than a batch."""
    role = proposer(Uniform(DOMAIN), batch, ahead)
    proposed = consumed = 0
    for number, share in enumerate([0.0, *shares]):
        consumed += round(share * (proposed - consumed))
        events = asyncio.run(role.handle(weights(number, consumed)))
        proposed += sum(isinstance(event, Task) for event in events)
        # Never too many; and never too few, or learning would stand still.
        assert proposed - consumed == (1 + ahead) * batch


def test_a_version_that_consumed_nothing_grants_nothing() -> None:
    role = proposer()
    assert len(asyncio.run(role.handle(weights(0)))) == 1 + 16
    [state] = asyncio.run(role.handle(weights(1)))
    assert isinstance(state, Curriculum)
    assert state.proposed == 16


def test_a_retry_says_the_same_again() -> None:
    assert handle(proposer(), 0) == handle(proposer(), 0)
    ids = [event.id for event in handle(proposer(), 0)]
    assert len(set(ids)) == len(ids) == 17


def test_tasks_name_the_version_that_granted_them() -> None:
    tasks = [event for event in handle(proposer(), 0) if isinstance(event, Task)]
    assert {task.granted_by for task in tasks} == {WEIGHTS[0].id}
    assert {task.weights_version for task in tasks} == {0}
    assert {task.source for task in tasks} == {"curriculum"}
    for task in tasks:
        problem = DOMAIN.pose(task.prompt)
        assert (task.family, task.level, task.answer) == (
            problem.family,
            problem.level,
            problem.answer,
        )


def test_a_proposer_that_starts_again_goes_on_as_if_it_never_stopped() -> None:
    async def scenario() -> None:
        bus = MemoryBus()
        assert last_curriculum(bus) is None
        whole = proposer()
        for number in (0, 1):
            await bus.publish(await whole.handle(WEIGHTS[number]))
        last = last_curriculum(bus)
        assert last is not None and last.weights_version == 1
        again = proposer(bus=bus)
        expected, found = await whole.handle(WEIGHTS[2]), await again.handle(WEIGHTS[2])
        assert timeless(found) == timeless(expected)
        assert sum(isinstance(event, Task) for event in found) == 8

    asyncio.run(scenario())


def test_proposers_that_take_turns_say_what_one_would_have_said() -> None:
    async def scenario() -> None:
        bus, whole = MemoryBus(), proposer()
        first, second = (proposer(bus=bus) for _ in range(2))
        for number, role in enumerate((first, second, first)):
            expected, found = (
                await whole.handle(WEIGHTS[number]),
                await role.handle(WEIGHTS[number]),
            )
            assert timeless(found) == timeless(expected)
            await bus.publish(found)

    asyncio.run(scenario())


def test_the_state_stands_on_the_log_with_the_tasks() -> None:
    role = proposer()
    handle(role, 0)
    [state] = [event for event in handle(role, 1) if isinstance(event, Curriculum)]
    assert (state.weights, state.weights_version) == (WEIGHTS[1].id, 1)
    assert (state.source, state.proposed, state.refused) == ("curriculum", 24, 0)
    assert state.top.keys() == {"reverse", "sort"}
    assert state.success["reverse/3"] > 0.6
