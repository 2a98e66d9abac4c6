"""A trainer whose switch is closed: it begins the run, takes nothing, goes on when opened."""

import asyncio
from pathlib import Path

import pytest

from bus.control import Switch
from bus.memory.bus import MemoryBus
from tests.bus.solving import let_pass
from tests.trainer.classroom import SIZE, Classroom, check_exactly_once, halt_at, until

LOOKED_SECONDS = 0.8
"""By now a trainer that waits for records has seen that its switch is closed."""


@pytest.fixture
def room(tmp_path: Path) -> Classroom:
    return Classroom(MemoryBus(), tmp_path)


def test_a_paused_trainer_publishes_version_0_and_learns_when_it_goes_on(room: Classroom) -> None:
    async def scenario() -> None:
        switch, stop = Switch(is_open=False), asyncio.Event()
        judged = await room.judge(0, SIZE)
        training = asyncio.ensure_future(room.train(stop, switch=switch))
        await until(lambda: room.version_count == 1)
        await let_pass(LOOKED_SECONDS)
        assert (room.version_count, room.lessons, room.backlog()) == (1, [], SIZE)
        switch.set(is_open=True, is_off=False)
        await until(lambda: room.version_count == 2)
        switch.set(is_open=False, is_off=False)
        await let_pass(LOOKED_SECONDS)
        judged += await room.judge(100, SIZE)
        await let_pass(LOOKED_SECONDS)
        assert (room.version_count, room.backlog()) == (2, SIZE)
        switch.set(is_open=True, is_off=False)
        await until(lambda: room.version_count == 3)
        stop.set()
        await training
        check_exactly_once(room, judged)

    asyncio.run(scenario())


def test_a_trainer_that_is_paused_while_it_learns_publishes_what_it_learned(
    room: Classroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        switch, stop = Switch(), asyncio.Event()
        judged = await room.judge(0, SIZE)
        reached, go_on = halt_at(monkeypatch, "trainer.staged", version=1)
        training = asyncio.ensure_future(room.train(stop, switch=switch))
        await asyncio.to_thread(reached.wait, 20)
        switch.set(is_open=False, is_off=False)
        more = await room.judge(100, SIZE)
        go_on()
        await until(lambda: room.version_count == 2)
        await let_pass(LOOKED_SECONDS)
        assert (room.version_count, room.backlog()) == (2, len(more))
        switch.set(is_open=True, is_off=False)
        await until(lambda: room.version_count == 3)
        stop.set()
        await training
        check_exactly_once(room, judged + more)

    asyncio.run(scenario())


def test_a_paused_trainer_can_be_stopped(room: Classroom) -> None:
    async def scenario() -> None:
        stop = asyncio.Event()
        training = asyncio.ensure_future(room.train(stop, switch=Switch(is_open=False)))
        await until(lambda: room.version_count == 1)
        stop.set()
        await asyncio.wait_for(training, 10)

    asyncio.run(scenario())
