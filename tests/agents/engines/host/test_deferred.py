"""A server listens before its engine is there, and says so."""

import asyncio
from threading import Event

import aiohttp

from agents.engines.engine import Engine
from agents.engines.host.deferred import Deferred
from agents.engines.scripted import ScriptedEngine
from tests.agents.engines.checkpoint.tiny_checkpoint import Checkpoint
from tests.agents.engines.serving import say_version, serving


def test_health_is_503_while_the_engine_is_built(checkpoints: list[Checkpoint]) -> None:
    begun, go_on = Event(), Event()

    def build() -> Engine:
        begun.set()
        assert go_on.wait(20)
        return ScriptedEngine(say_version)

    async def health(url: str) -> int:
        async with aiohttp.ClientSession() as session, session.get(f"{url}/health") as answer:
            return int(answer.status)

    async def scenario() -> None:
        async with serving(Deferred(build)) as server:
            assert await health(server.url) == 503
            swapping = asyncio.ensure_future(server.swap(3, checkpoints[0]))
            assert await asyncio.to_thread(begun.wait, 20)
            assert await health(server.url) == 503
            go_on.set()
            assert (await swapping).to_version == 3
            assert await health(server.url) == 200

    asyncio.run(scenario())
