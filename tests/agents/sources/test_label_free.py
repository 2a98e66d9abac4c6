"""Sources of recipes without a verifier: a fixed set in epochs, levels by the clock."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from random import Random
from typing import Any

import pytest

from agents.domains.domain import Problem
from agents.domains.strings import StringsConfig
from agents.proposer import Proposer
from agents.sources.schedule import Schedule, ScheduleConfig
from agents.sources.source import Source
from agents.sources.unlabeled import Unlabeled, UnlabeledConfig
from bus.events import LevelCount, Task
from bus.memory.bus import MemoryBus
from tests.agents.asking import DOMAIN, weights
from tests.agents.parts import parts_for


def unlabeled(size: int = 20, seed: int = 0, levels: tuple[int, ...] | None = None) -> Unlabeled:
    return UnlabeledConfig(size=size, levels=levels).build(parts_for(seed=seed))


def drawn(source: Source, count: int, version: int = 0) -> list[Problem]:
    draw = asyncio.run(source.draw(count, Random(version), version, "d"))
    return [draft.problem for draft in draw.drafts]


def schedule(**settings: Any) -> Schedule:
    return ScheduleConfig(**settings).build(parts_for())


def levels(source: Source, versions: int) -> list[int]:
    """The level of each version; the batches say that nothing was right."""
    found = []
    for version in range(versions):
        source.fold([count(level, 0.0) for level in DOMAIN.levels])
        [level] = {problem.level for problem in drawn(source, 8, version)}
        found.append(level)
    return found


def count(level: int, share: float, family: str = "reverse") -> LevelCount:
    return LevelCount(family=family, level=level, tasks=10, samples=100, correct=round(100 * share))


def test_every_epoch_asks_each_task_of_the_set_once() -> None:
    source = unlabeled()
    first, second = drawn(source, 20), drawn(source, 20)
    assert first != second
    prompts = [{problem.prompt for problem in each} for each in (first, second)]
    assert prompts[0] == prompts[1] and len(prompts[0]) == 20


def test_how_many_are_asked_at_a_time_changes_nothing() -> None:
    parts, whole = unlabeled(), unlabeled()
    assert [one for size in (7, 0, 20, 33) for one in drawn(parts, size)] == drawn(whole, 60)


def test_the_set_is_of_the_run_alone() -> None:
    one, same, other = unlabeled(), unlabeled(), unlabeled(seed=1)
    assert one.problems == same.problems != other.problems
    assert drawn(one, 50, version=3) == drawn(same, 50, version=8)


def test_the_set_lies_above_the_warm_up_or_where_it_is_told() -> None:
    cells = Counter((problem.family, problem.level) for problem in unlabeled(200).problems)
    assert {level for _, level in cells} == {3, 4, 5, 6}
    assert {family for family, _ in cells} == {"reverse", "sort"}
    assert {problem.level for problem in unlabeled(levels=(2, 4)).problems} == {2, 4}
    with pytest.raises(ValueError, match=r"source.levels \[7\] are not among"):
        unlabeled(levels=(6, 7))


def test_a_small_level_gives_what_it_has() -> None:
    parts = parts_for(StringsConfig(families=("reverse",), levels=(1,), warmup_levels=(1,)))
    source = UnlabeledConfig(size=64).build(parts)
    assert len(source.problems) == 10
    assert len(drawn(source, 25)) == 25


def test_nothing_of_the_set_is_held_out() -> None:
    held_out = {one.prompt for family in DOMAIN.families for one in DOMAIN.held_out(family, 4, 64)}
    asked = {problem.prompt for problem in unlabeled(400, levels=(4,)).problems}
    assert len(asked) > 300 and not asked & held_out


def test_a_proposer_that_starts_again_goes_on_in_the_epoch() -> None:
    async def scenario() -> None:
        bus = MemoryBus()
        whole, again = (_proposer(UnlabeledConfig(size=20), each) for each in (MemoryBus(), bus))
        for number in range(4):
            expected = await whole.handle(weights(number, 8 * number))
            found = await again.handle(weights(number, 8 * number))
            assert _prompts(found) == _prompts(expected) and _prompts(found)
            await bus.publish(found)
            again = _proposer(UnlabeledConfig(size=20), bus)

    asyncio.run(scenario())


def test_the_level_goes_up_by_the_clock_alone() -> None:
    assert levels(schedule(every=2), 10) == [3, 3, 4, 4, 5, 5, 6, 6, 6, 6]
    assert levels(schedule(every=1, first=5), 4) == [5, 6, 6, 6]


def test_a_schedule_that_starts_again_asks_for_the_same_level() -> None:
    for settings in ({"every": 3}, {"advance_at": 0.5}):
        whole, again = schedule(**settings), schedule(**settings)
        for version in range(12):
            for source in (whole, again):
                source.fold([count(level, 0.9, family) for level in DOMAIN.levels
                             for family in DOMAIN.families])  # fmt: skip
            assert drawn(again, 8, version) == drawn(whole, 8, version)
            assert again.state == whole.state
            restored = schedule(**settings)
            restored.restore(whole.state)
            again = restored


def test_with_agreement_the_level_waits_for_every_family() -> None:
    source = schedule(advance_at=0.5, rate=1.0)
    assert source.state.top == {"reverse": 3, "sort": 3}
    source.fold([count(3, 0.9), count(3, 0.4, "sort")])
    assert source.state.top["reverse"] == 3
    source.fold([count(3, 0.5, "sort")])
    assert source.state.top == {"reverse": 4, "sort": 4}
    assert {problem.level for problem in drawn(source, 8, version=99)} == {4}


def test_a_lucky_batch_is_not_enough() -> None:
    source = schedule(advance_at=0.5, rate=0.3)
    both = [count(3, 1.0), count(3, 1.0, "sort")]
    source.fold(both)
    assert source.state.top["sort"] == 3
    source.fold(both)
    assert source.state.top["sort"] == 4


def _proposer(config: UnlabeledConfig, bus: MemoryBus) -> Proposer:
    parts = parts_for(bus=bus)

    def make_source(settings: Mapping[str, Any]) -> Source:
        return config.build(parts)

    return Proposer(parts, make_source, named=config.type, batch=8, ahead=0)


def _prompts(events: Any) -> list[str]:
    return [event.prompt for event in events if isinstance(event, Task)]
