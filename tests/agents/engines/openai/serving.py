"""A server of OpenAI's API over a log in memory, and the client that asks it."""

from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

import openai

from agents.engines.config import VllmConfig
from agents.engines.engine import Engine
from agents.engines.host.front import Front
from agents.engines.host.guard import Guard
from agents.engines.host.host import Host
from agents.engines.local.engine import LocalEngine
from agents.engines.openai.routes import OpenAi
from agents.engines.scripted import ScriptedEngine
from agents.policies.catalog import Catalog
from agents.policies.config import BUILT_IN
from agents.policies.pool import Pool
from bus.events import Weights
from bus.memory.bus import MemoryBus
from bus.versions import Versions
from tests.agents.asking import weights
from tests.agents.engines.checkpoint.tiny_checkpoint import Checkpoint
from tests.agents.engines.serving import listener

Build = Callable[[ThreadPoolExecutor], Engine]


def scripted(_: ThreadPoolExecutor) -> Engine:
    def say(prompt: str, version: int, random: Random) -> str:
        return f"{prompt[::-1]} of {version}: " + "".join(random.choices("abc", k=8))

    return ScriptedEngine(say, seed=5)


def local(executor: ThreadPoolExecutor) -> Engine:
    return LocalEngine(executor, seed=5)


def vllm(executor: ThreadPoolExecutor) -> Engine:
    return VllmConfig(cache_megabytes=16).build(executor, seed=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    url: str
    host: Host
    pool: Pool | None
    bus: MemoryBus
    client: openai.AsyncOpenAI


@asynccontextmanager
async def serving(
    build: Build, run: Path, versions: Mapping[int, Checkpoint], *, token: str = ""
) -> AsyncIterator[Serving]:
    """The newest of `versions` is served as `current`; with vLLM that is all that speaks."""
    bus, events = MemoryBus(), {}
    for number, checkpoint in versions.items():
        location = str(checkpoint.folder.relative_to(run))
        event = weights(number, location=location)
        events[number] = event.model_copy(update={"files": checkpoint.files})
    await bus.publish(list(events.values()))

    def find(number: int) -> Weights:
        if number not in events:
            raise LookupError(f"there is no version {number}")
        return events[number]

    with ThreadPoolExecutor(1) as executor:
        host = Host(build(executor), "test")
        pool = None if build is vllm else Pool(lambda: build(executor), run)
        catalog = Catalog("current", host, BUILT_IN, Versions(bus.log), find, pool)
        if versions:
            newest = max(versions)
            await host.swap(newest, versions[newest].folder, versions[newest].files)
        open_at = listener()
        url = f"http://127.0.0.1:{open_at.getsockname()[1]}"
        openai_routes = OpenAi(catalog, host.plain)
        async with (
            Front(host, Guard(token), openai_routes).listening(open_at),
            openai.AsyncOpenAI(
                base_url=url + "/v1", api_key=token or "none", max_retries=0
            ) as client,
        ):
            yield Serving(url=url, host=host, pool=pool, bus=bus, client=client)
        await host.close()
        if pool is not None:
            await pool.close()
