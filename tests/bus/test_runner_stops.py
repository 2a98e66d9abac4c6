"""How a runner ends: failures, fencing, cancellation, a graceful stop."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from bus.bus import Subscription
from bus.errors import Fenced
from bus.events import Event
from bus.memory.bus import MemoryBus
from bus.records import Delivery, Positioned
from tests.bus.solving import (
    Solver,
    backlog,
    dead,
    levels,
    raises,
    runner,
    task,
    until,
    work,
)


@dataclass
class HeldCommits:
    """A subscription whose commits wait for `go`."""

    inner: Subscription
    go: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, limit: int, timeout_seconds: float | None = None) -> list[Delivery]:
        return await self.inner.take(limit, timeout_seconds)

    async def complete(self, done: Sequence[Positioned], outputs: Sequence[Event]) -> None:
        self.waiting.set()
        await self.go.wait()
        await self.inner.complete(done, outputs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def test_any_other_error_stops_the_runner_and_the_event_is_delivered_again() -> None:
    async def scenario() -> None:
        bus = MemoryBus()
        await bus.publish([task(index) for index in range(8)])
        broken = dict.fromkeys(range(8), raises(OSError("the disk is gone")))
        with pytest.raises(OSError, match="the disk is gone"):
            async with bus.subscribe(["tasks"], "solver", "solver-0") as subscription:
                await runner(Solver(first=broken), subscription).run()
        assert levels(bus) == []
        assert dead(bus) == []
        await work(bus, Solver(), lambda: backlog(bus) == 0)
        assert levels(bus) == list(range(8))

    asyncio.run(scenario())


def test_a_runner_that_was_taken_over_is_fenced() -> None:
    async def scenario() -> None:
        bus = MemoryBus()
        await bus.publish([task(0)])
        started, go = asyncio.Event(), asyncio.Event()

        async def wait() -> None:
            started.set()
            await go.wait()

        async def zombie() -> None:
            async with bus.subscribe(["tasks"], "solver", "solver-0") as subscription:
                with pytest.raises(Fenced):
                    await runner(Solver(first={0: wait}), subscription).run()

        async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
            tasks.create_task(zombie())
            await started.wait()
            await work(bus, Solver(), lambda: backlog(bus) == 0)
            go.set()
        assert levels(bus) == [0]

    asyncio.run(scenario())


def test_cancelling_cancels_the_handlers_and_commits_nothing_of_theirs() -> None:
    async def scenario() -> None:
        bus = MemoryBus()
        await bus.publish([task(0), task(1)])
        solver = Solver(first={0: asyncio.Event().wait, 1: asyncio.Event().wait})  # type: ignore[dict-item]
        async with bus.subscribe(["tasks"], "solver", "solver-0") as subscription:
            running = asyncio.ensure_future(runner(solver, subscription).run())
            await until(lambda: len(solver.started) == 2)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
        assert sorted(solver.cancelled) == [0, 1]
        assert backlog(bus) == 2

    asyncio.run(scenario())


def test_a_commit_under_way_is_finished_when_cancelled() -> None:
    async def scenario() -> None:
        bus = MemoryBus()
        await bus.publish([task(0)])
        async with bus.subscribe(["tasks"], "solver", "solver-0") as inner:
            held: Any = HeldCommits(inner)
            running = asyncio.ensure_future(runner(Solver(), held).run())
            await held.waiting.wait()
            for _ in range(3):
                running.cancel()
                await asyncio.sleep(0.01)
            assert not running.done()
            assert levels(bus) == []
            held.go.set()
            with pytest.raises(asyncio.CancelledError):
                await running
        assert levels(bus) == [0]
        assert backlog(bus) == 0

    asyncio.run(scenario())


def test_a_graceful_stop_commits_what_finishes_in_time_and_takes_nothing_more() -> None:
    async def scenario() -> None:
        bus = MemoryBus()
        await bus.publish([task(0), task(1)])
        stop, go = asyncio.Event(), asyncio.Event()

        async def wait() -> None:
            await go.wait()

        async def never() -> None:
            await asyncio.Event().wait()

        solver = Solver(first={0: wait, 1: never})
        async with bus.subscribe(["tasks"], "solver", "solver-0") as subscription:
            working = runner(solver, subscription, grace_seconds=3)
            async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
                tasks.create_task(working.run(stop))
                await until(lambda: len(solver.started) == 2)
                stop.set()
                await asyncio.sleep(0)
                await bus.publish([task(2)])
                await asyncio.sleep(0.05)
                go.set()
        assert levels(bus) == [0]
        assert solver.cancelled == [1]
        assert 2 not in solver.started
        await work(bus, Solver(), lambda: backlog(bus) == 0)
        assert levels(bus) == [0, 1, 2]

    asyncio.run(scenario())


def test_a_stop_at_the_moment_when_a_record_comes_ends_the_runner() -> None:
    async def scenario(turns: int) -> None:
        bus, stop = MemoryBus(), asyncio.Event()
        async with bus.subscribe(["tasks"], "solver", "solver-0") as subscription:
            working = asyncio.ensure_future(runner(Solver(), subscription).run(stop))
            await asyncio.sleep(0.01)
            await bus.publish([task(0)])
            for _ in range(turns):
                await asyncio.sleep(0)
            stop.set()
            await asyncio.wait_for(working, 10)

    for turns in range(8):
        asyncio.run(scenario(turns))
