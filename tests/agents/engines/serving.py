"""Servers for tests: an engine behind a front, on a free port of loopback."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from agents.engines.engine import Engine, Swap
from agents.engines.host.front import Front
from agents.engines.host.host import Host
from agents.engines.scripted import ScriptedEngine
from agents.engines.server.engine import ServerEngine
from agents.engines.server.link import ServerLink
from tests.agents.engines.checkpoint.tiny_checkpoint import Checkpoint


def say_version(prompt: str, version: int, random: Random) -> str:
    return str(version)


@dataclass(slots=True, kw_only=True)
class Serving:
    """One server."""

    host: Host
    url: str

    async def swap(self, version: int, checkpoint: Checkpoint) -> Swap:
        return await self.host.swap(version, checkpoint.folder, checkpoint.files)


class Held(ScriptedEngine):
    """Answers while `go` is set."""

    def __init__(self) -> None:
        super().__init__(say_version)
        self.go = asyncio.Event()

    async def _wait(self) -> None:
        await self.go.wait()


def listener(port: int = 0) -> socket.socket:
    made = socket.create_server(("127.0.0.1", port))
    made.setblocking(False)
    return made


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


@asynccontextmanager
async def serving(engine: Engine | None = None, port: int = 0) -> AsyncIterator[Serving]:
    engine = engine or ScriptedEngine(say_version, latency_seconds=0.1)
    host = Host(engine, "scripted")
    open_at = listener(port)
    url = f"http://127.0.0.1:{open_at.getsockname()[1]}"
    async with Front(host).listening(open_at):
        yield Serving(host=host, url=url)
    await host.close()


@asynccontextmanager
async def agent(*urls: str, patience_seconds: float = 200.0) -> AsyncIterator[ServerEngine]:
    links = [ServerLink(url) for url in urls]
    engine = ServerEngine(links, patience_seconds=patience_seconds, lag_seconds=0.5)
    try:
        yield engine
    finally:
        await engine.close()


async def swap(engine: ServerEngine, version: int, checkpoint: Checkpoint) -> None:
    await engine.swap(version, checkpoint.folder, checkpoint.files)


class Followed:
    """An agent's engine whose servers hear of a version when the agent does, as from a log."""

    def __init__(self, engine: ServerEngine, servers: list[Host]) -> None:
        self._engine = engine
        self._servers = servers
        self.encode = engine.encode
        self.decode = engine.decode
        self.generate = engine.generate
        self.close = engine.close

    @property
    def version(self) -> int:
        return self._engine.version

    async def swap(self, version: int, folder: Path, files: dict[str, str]) -> Swap:
        told = [server.swap(version, folder, files) for server in self._servers]
        await asyncio.gather(*told, return_exceptions=True)
        while not self._heard():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        return await self._engine.swap(version, folder, files)

    def _heard(self) -> bool:
        """Whether the agent knows of its servers what they say, or nothing yet."""
        links = zip(self._engine._links, self._servers, strict=True)
        return all(
            not link.digest or (link.digest, link.refused[0]) == (state.digest, state.refused)
            for link, state in ((link, server.state) for link, server in links)
        )
