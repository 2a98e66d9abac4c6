"""The log that watches how it is read: it says so, where it is read on a loop or holds one up."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from bus.memory.bus import MemoryBus
from tests.bus.contract.saying import control
from tests.bus.sleeping import SleepingBus


def test_a_log_that_is_read_on_the_loop_says_so() -> None:
    async def scenario() -> None:
        bus = SleepingBus(MemoryBus())
        await bus.publish([control(0)])
        with pytest.raises(AssertionError, match="on an event loop"):
            bus.log.heads()
        with pytest.raises(AssertionError, match="on an event loop"):
            list(bus.log.read("control"))
        page = await asyncio.to_thread(lambda: bus.log.read("control"))
        with pytest.raises(AssertionError, match="on an event loop"):
            next(page)
        assert len(await asyncio.to_thread(lambda: list(bus.log.read("control")))) == 1

    asyncio.run(scenario())


def test_a_loop_that_waits_for_the_log_says_so() -> None:
    async def scenario() -> None:
        bus = SleepingBus(MemoryBus(), patience_seconds=0.05)
        with ThreadPoolExecutor(1) as executor:
            read = executor.submit(bus.log.groups)
            with pytest.raises(AssertionError, match="waits for the log"):
                read.result()
            assert await asyncio.wrap_future(executor.submit(bus.log.groups)) == []

    asyncio.run(scenario())
