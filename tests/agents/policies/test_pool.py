"""Versions side by side: who is given up, who waits, and who may be cancelled when."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from agents.engines.scripted import ScriptedEngine
from agents.policies.pool import Pool
from bus.events import Weights
from tests.agents.asking import engine, says
from tests.agents.policies.versions import checkpoint


class Slow(ScriptedEngine):
    """Takes its time to close."""

    closing: asyncio.Event
    go: asyncio.Event

    async def close(self) -> None:
        self.closing.set()
        await self.go.wait()
        await super().close()


def slow(closing: asyncio.Event, go: asyncio.Event) -> Callable[[], Slow]:
    def build() -> Slow:
        made = Slow(says(""))
        made.closing, made.go = closing, go
        return made

    return build


async def use(pool: Pool, weights: Weights, using: asyncio.Event | None = None) -> int:
    """The version served; used for ever where `using` says that it is."""
    async with pool(weights) as served:
        if using is not None:
            using.set()
            await asyncio.Event().wait()
        return served.version


def test_the_least_recently_used_is_given_up_and_who_finds_no_room_waits(tmp_path: Path) -> None:
    async def scenario() -> None:
        pool = Pool(lambda: engine(says(""), version=-1), tmp_path)
        versions = [checkpoint(tmp_path, number) for number in range(4)]
        for number in (0, 1, 0, 2):
            assert await use(pool, versions[number]) == number
        assert pool.versions == [0, 2]
        using = [asyncio.Event(), asyncio.Event()]
        users = [
            asyncio.ensure_future(use(pool, versions[number], each))
            for number, each in zip((0, 2), using, strict=True)
        ]
        for each in using:
            await each.wait()
        waiting = asyncio.ensure_future(use(pool, versions[3]))
        # What is loaded is there for others meanwhile.
        assert await use(pool, versions[2]) == 2
        await asyncio.sleep(0.05)
        assert not waiting.done()
        users[0].cancel()
        assert await asyncio.wait_for(waiting, 10) == 3
        users[1].cancel()
        await pool.close()

    asyncio.run(scenario())


def test_who_is_cancelled_twice_leaves_its_place_to_others(tmp_path: Path) -> None:
    async def scenario() -> None:
        closing, go, using = asyncio.Event(), asyncio.Event(), asyncio.Event()
        pool = Pool(slow(closing, go), tmp_path)
        versions = [checkpoint(tmp_path, number) for number in range(4)]
        assert await use(pool, versions[0]) == 0
        user = asyncio.ensure_future(use(pool, versions[1], using))
        await using.wait()
        other = asyncio.ensure_future(use(pool, versions[2]))
        await closing.wait()
        for _ in range(2):
            user.cancel()
            await asyncio.sleep(0)
        with suppress(asyncio.CancelledError):
            await user
        go.set()
        assert await other == 2
        assert await asyncio.wait_for(use(pool, versions[3]), 10) == 3
        assert pool.versions == [2, 3]
        await pool.close()

    asyncio.run(scenario())
