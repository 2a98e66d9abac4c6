"""A runner whose switch is closed: it takes nothing, finishes what it has, goes on when opened."""

import asyncio

from bus.control import Switch
from bus.memory.bus import MemoryBus
from tests.bus.solving import Solver, backlog, let_pass, levels, runner, task, until

LOOKED_SECONDS = 0.5
"""By now a runner that waits for records has seen that its switch is closed."""


def test_a_paused_runner_takes_nothing_until_it_goes_on() -> None:
    async def scenario() -> None:
        bus, switch, stop = MemoryBus(), Switch(is_open=False), asyncio.Event()
        await bus.publish([task(0)])
        solver = Solver()
        async with bus.subscribe(["tasks"], "solver", "solver-0") as subscription:
            working = asyncio.ensure_future(runner(solver, subscription, switch=switch).run(stop))
            await let_pass(LOOKED_SECONDS)
            assert (solver.started, backlog(bus)) == ([], 1)
            switch.set(is_open=True, is_off=False)
            await until(lambda: levels(bus) == [0])
            switch.set(is_open=False, is_off=False)
            await let_pass(LOOKED_SECONDS)
            await bus.publish([task(1)])
            await let_pass(LOOKED_SECONDS)
            assert (solver.started, backlog(bus)) == ([0], 1)
            switch.set(is_open=True, is_off=False)
            await until(lambda: levels(bus) == [0, 1])
            stop.set()
            await working

    asyncio.run(scenario())


def test_a_runner_that_is_paused_at_work_finishes_what_it_has() -> None:
    async def scenario() -> None:
        bus, switch, stop, go = MemoryBus(), Switch(), asyncio.Event(), asyncio.Event()
        await bus.publish([task(index) for index in range(4)])

        async def wait() -> None:
            await go.wait()

        solver = Solver(first=dict.fromkeys(range(4), wait))
        async with bus.subscribe(["tasks"], "solver", "solver-0") as subscription:
            working = asyncio.ensure_future(
                runner(solver, subscription, switch=switch, concurrency=2).run(stop)
            )
            await until(lambda: len(solver.started) == 2)
            switch.set(is_open=False, is_off=False)
            go.set()
            await until(lambda: backlog(bus) == 2)
            await let_pass(LOOKED_SECONDS)
            assert levels(bus) == sorted(solver.started)
            assert len(solver.started) == 2
            switch.set(is_open=True, is_off=False)
            await until(lambda: levels(bus) == [0, 1, 2, 3])
            stop.set()
            await working

    asyncio.run(scenario())


def test_a_paused_runner_can_be_stopped() -> None:
    async def scenario() -> None:
        bus, stop = MemoryBus(), asyncio.Event()
        await bus.publish([task(0)])
        async with bus.subscribe(["tasks"], "solver", "solver-0") as subscription:
            paused = runner(Solver(), subscription, switch=Switch(is_open=False))
            working = asyncio.ensure_future(paused.run(stop))
            await asyncio.sleep(0)
            stop.set()
            await asyncio.wait_for(working, 10)
        assert backlog(bus) == 1

    asyncio.run(scenario())
