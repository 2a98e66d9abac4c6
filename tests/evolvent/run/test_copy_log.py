"""One log copied into another, on the buses themselves: records as they are, cursors, epochs."""

import asyncio
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from bus.bus import Bus
from bus.memory.bus import MemoryBus
from bus.records import Position, Record
from bus.sqlite.bus import SqliteBus
from evolvent.errors import UsageError
from evolvent.run.copy_log import (
    check_at_rest,
    check_begins_alike,
    check_equal,
    copy_cursors,
    copy_records,
)
from observability.replay.position import position, text_of
from tests.bus.contract.saying import control, foreign, task
from tests.observability.story import Story


class Killed(Exception):
    pass


def shown(what: str, done: int, whole: int) -> None:
    assert 0 <= done <= whole, what


async def lived() -> MemoryBus:
    """A log with everything that makes a copy difficult."""
    bus = MemoryBus()
    await bus.publish([task(index) for index in range(3_000)])
    await bus.append([foreign(1, 2, ""), foreign(2, 2, ""), foreign(3, 0, "order-7")])
    await bus.publish([control(index) for index in range(10)])
    for _ in range(6):
        # Owners came and went: their epochs grew.
        async with bus.subscribe(["tasks", "weights"], "solver", "solver") as solver:
            taken = await solver.take(400)
            await solver.complete(taken[::2], [])
    async with bus.subscribe(["control"], "evaluator", "evaluator") as evaluator:
        done = [Position(topic="control", partition=0, offset=at) for at in (0, 1, 2, 7, 9)]
        await evaluator.complete(done, [])
    return bus


async def copy(source: Bus, target: Bus) -> None:
    check_begins_alike(source.log, target.log, "the target", shown)
    await copy_records(source.log, target, shown)
    await copy_cursors(source.log, target, shown)
    check_equal(source.log, target.log, shown)


def run(scenario: Callable[[MemoryBus, SqliteBus], Awaitable[None]], path: Path) -> None:
    async def within() -> None:
        async with AsyncExitStack() as stack:
            target = SqliteBus(path / "log.sqlite")
            stack.push_async_callback(target.close)
            async with asyncio.timeout(60):
                await scenario(await lived(), target)

    asyncio.run(within())


def test_a_log_is_copied_record_by_record_and_cursor_by_cursor(tmp_path: Path) -> None:
    async def scenario(source: MemoryBus, target: SqliteBus) -> None:
        await copy(source, target)
        assert target.heads() == source.heads()
        for stream in source.heads():
            assert list(target.read(*stream)) == list(source.read(*stream))
        for group in ("solver", "evaluator"):
            assert target.cursors(group) == source.cursors(group)
        [lag] = target.lag("evaluator")
        assert (lag.base, lag.done, lag.backlog, lag.owner) == (3, 2, 5, "")
        async with target.subscribe(["tasks"], "solver", "solver") as heir:
            before = max(lag.epoch for lag in source.lag("solver"))
            assert before == 6 and heir.epoch > before

    run(scenario, tmp_path)


def test_a_copy_that_was_cut_short_anywhere_goes_on(tmp_path: Path) -> None:
    async def scenario(source: MemoryBus, target: SqliteBus) -> None:
        for stop_at in range(1, 12):
            calls = 0

            def show(what: str, done: int, whole: int, stop_at: int = stop_at) -> None:
                nonlocal calls
                calls += what in ("events", "cursors")
                if calls == stop_at:
                    raise Killed

            with pytest.raises(Killed):
                check_begins_alike(source, target, "the target", shown)
                await copy_records(source, target, show)
                await copy_cursors(source, target, show)
                raise Killed
        await copy(source, target)
        await copy(source, target)
        assert target.heads() == source.heads()

    run(scenario, tmp_path)


def test_a_target_that_goes_on_by_itself_is_not_overwritten(tmp_path: Path) -> None:
    async def scenario(source: MemoryBus, target: SqliteBus) -> None:
        await copy(source, target)
        async with target.subscribe(["control"], "evaluator", "evaluator") as evaluator:
            await evaluator.complete([Position(topic="control", partition=0, offset=4)], [])
        with pytest.raises(UsageError, match="gone on by itself, at control/0/4"):
            check_begins_alike(source, target, "the target", shown)

    run(scenario, tmp_path)


@pytest.mark.parametrize(
    ("there", "where"), [([control(5)], "control/0/0"), ([task(1), task(2)], "tasks/")]
)
def test_a_target_with_other_records_is_refused(
    there: Sequence[object], where: str, tmp_path: Path
) -> None:
    async def scenario(source: MemoryBus, target: SqliteBus) -> None:
        await target.publish(there)  # type: ignore[arg-type]
        with pytest.raises(UsageError, match=f"holds another run.*{where}"):
            check_begins_alike(source, target, "the target", shown)

    run(scenario, tmp_path)


def test_a_copy_that_differs_is_found(tmp_path: Path) -> None:
    async def scenario(source: MemoryBus, target: SqliteBus) -> None:
        await copy(source, target)
        changed: list[Record] = source._log.streams["tasks", 1]
        changed[7] = foreign(9, 1, "")
        with pytest.raises(UsageError, match="differs at tasks/1"):
            check_equal(source, target, shown)
        await source.publish([control(77)])
        with pytest.raises(UsageError, match="moved while it was copied"):
            check_equal(source, target, shown)

    run(scenario, tmp_path)


def test_a_log_that_somebody_works_on_is_left_alone(tmp_path: Path) -> None:
    async def scenario(source: MemoryBus, target: SqliteBus) -> None:
        async with source.subscribe(["tasks"], "solver", "laptop"):
            with pytest.raises(UsageError, match="runs/words is in use by laptop of solver"):
                await check_at_rest(source, "runs/words", 0.1)
        await check_at_rest(source, "runs/words", 0.1)

    run(scenario, tmp_path)


class ByVersions(MemoryBus):
    """Knows of its order only which versions a record lies between, as a copy on a broker does."""

    def commits(self, topic: str, partition: int, start: int, end: int) -> Sequence[int]:
        versions = super().commits("weights", 0, 0, self.heads()["weights", 0])
        exact = super().commits(topic, partition, start, end)
        return [1 + bisect_left(versions, number) for number in exact]


def test_the_order_of_commits_is_copied_and_a_version_ends_one() -> None:
    async def scenario() -> None:
        source, coarse, back = MemoryBus(), ByVersions(), MemoryBus()
        for event in Story(versions=12).events():
            await source.publish([event])
        await copy_records(source, coarse, shown)
        await copy_records(coarse, back, shown)
        for version in range(13):
            there = [text_of(position(log, str(version))) for log in (source, coarse, back)]
            assert there[0] == there[1] == there[2]
        for stream, end in source.heads().items():
            assert [*back.read(*stream)] == [*source.read(*stream)]
            assert coarse.heads()[stream] == end

    asyncio.run(scenario())
