"""An objective of the operator: the source asks by its settings from the next version on."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from agents.proposer import Proposer
from agents.sources.config import SourceConfig
from agents.sources.curriculum import CurriculumConfig
from agents.sources.learned import LearnedConfig
from bus.events import Control, Curriculum, Event, LevelCount, Task, Weights, derive_id
from bus.memory.bus import MemoryBus
from tests.agents.asking import RUN, engine, says, weights
from tests.agents.parts import parts_for
from tests.agents.test_proposer import timeless

HALF_RIGHT = [LevelCount(family="reverse", level=3, tasks=8, samples=16, correct=8)]
VERSIONS = [weights(0), *(weights(number, 8 * number, HALF_RIGHT) for number in (1, 2, 3))]


def objective(index: int = 0, **settings: Any) -> Control:
    return Control(
        id=derive_id(RUN, "operator", "objective", index),
        run=RUN,
        agent="operator",
        command="objective",
        settings=settings,
    )


class Operated:
    """Proposers of one run, all by what the operator has said last."""

    def __init__(self, source: SourceConfig | None = None) -> None:
        self.bus = MemoryBus()
        self.said: Control | None = None
        self._source = source or CurriculumConfig()

    def proposer(self) -> Proposer:
        parts = parts_for(engine=engine(says("r12345")), bus=self.bus, seed=5)

        def make_source(settings: Mapping[str, Any]) -> Any:
            config = self._source
            changed = type(config).model_validate({**config.model_dump(), **settings})
            return changed.build(parts)

        return Proposer(
            parts,
            make_source,
            named=self._source.type,
            objective=lambda: self.said,
            batch=8,
            ahead=1,
        )

    async def answer(self, role: Proposer, version: Weights) -> list[Event]:
        events = list(await role.handle(version))
        await self.bus.publish(events)
        return timeless(events)


def state_in(events: Sequence[Event]) -> Curriculum:
    [state] = [event for event in events if isinstance(event, Curriculum)]
    return state


def levels(events: Sequence[Event], family: str = "reverse") -> set[int]:
    return {event.level for event in events if isinstance(event, Task) and event.family == family}


def test_an_objective_counts_from_the_next_version_on_and_keeps_the_state() -> None:
    async def scenario() -> None:
        plain, changed = Operated(), Operated()
        roles = plain.proposer(), changed.proposer()
        for number in (0, 1):
            expected = await plain.answer(roles[0], VERSIONS[number])
            assert await changed.answer(roles[1], VERSIONS[number]) == expected
            assert state_in(expected).objective is None
        changed.said = objective(advance_at=0.9, floor=50.0)
        one = state_in(await plain.answer(roles[0], VERSIONS[2]))
        other = state_in(await changed.answer(roles[1], VERSIONS[2]))
        assert other.objective == changed.said.id
        # What is known of the levels stays known, and a frontier never moves back.
        assert other.success == one.success != state_in(expected).success
        assert (other.proposed, other.source) == (one.proposed, one.source)
        assert other.top == one.top == state_in(expected).top

    asyncio.run(scenario())


def test_the_settings_of_an_objective_move_the_frontier() -> None:
    async def scenario() -> None:
        easy, hard = Operated(), Operated()
        easy.said, hard.said = objective(advance_at=0.01), objective(advance_at=0.99)
        tops = []
        for operated in (easy, hard):
            role = operated.proposer()
            await operated.answer(role, VERSIONS[0])
            events = await operated.answer(role, VERSIONS[1])
            tops.append(state_in(events).top["reverse"])
            assert max(levels(events)) <= tops[-1]
        assert tops == [4, 3]

    asyncio.run(scenario())


def test_a_later_objective_takes_the_place_of_the_one_before() -> None:
    async def scenario() -> None:
        operated = Operated()
        role = operated.proposer()
        seen = []
        for number, said in enumerate((None, objective(0, floor=9.0), objective(1), objective(1))):
            operated.said = said
            seen.append(state_in(await operated.answer(role, VERSIONS[number])).objective)
        assert seen == [None, objective(0).id, objective(1).id, objective(1).id]

    asyncio.run(scenario())


def test_after_a_restart_the_objective_is_the_same() -> None:
    async def scenario() -> None:
        whole, again = Operated(), Operated()
        role = whole.proposer()
        for operated in (whole, again):
            operated.said = objective(advance_at=0.01, floor=5.0)
        for number in (0, 1, 2):
            expected = await whole.answer(role, VERSIONS[number])
            # A new process for every version.
            assert await again.answer(again.proposer(), VERSIONS[number]) == expected
        assert state_in(expected).objective == objective().id

    asyncio.run(scenario())


def test_a_model_that_proposes_remembers_what_was_asked_before_the_objective() -> None:
    async def scenario() -> None:
        operated = Operated(LearnedConfig(share=0.1))
        role = operated.proposer()
        first = await operated.answer(role, VERSIONS[0])
        operated.said = objective(share=1.0)
        second = await operated.answer(role, VERSIONS[1])
        # It writes r12345 again and again: once it was asked, and never after.
        assert [event.source for event in first if isinstance(event, Task)].count("learned") == 1
        assert [event.source for event in second if isinstance(event, Task)].count("learned") == 0
        assert (state_in(first).refused, state_in(second).refused) == (1, 8)

    asyncio.run(scenario())
