"""Every engine behind one fixture, and checkpoints for them to serve."""

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from random import Random

import pytest

from agents.engines.config import ScriptedConfig, VllmConfig
from agents.engines.engine import Engine
from agents.engines.local.engine import LocalEngine
from agents.engines.scripted import ScriptedEngine
from tests.agents.engines.checkpoint.tiny_checkpoint import Checkpoint, Open, save_checkpoint
from tests.agents.engines.serving import Followed, agent, serving


def babble(prompt: str, version: int, random: Random) -> str:
    return "".join(random.choice(prompt + "abcdefgh") for _ in range(random.randrange(1, 20)))


@asynccontextmanager
async def open_scripted() -> AsyncIterator[Engine]:
    engine = ScriptedEngine(babble, latency_seconds=0.02)
    yield engine
    await engine.close()


@asynccontextmanager
async def open_answering() -> AsyncIterator[Engine]:
    answers = tuple("abcdefgh"[:length] for length in range(9))
    with ThreadPoolExecutor(max_workers=1) as executor:
        engine = ScriptedConfig(answers=answers, latency_seconds=0.02).build(executor, seed=0)
        yield engine
        await engine.close()


@asynccontextmanager
async def open_waiting() -> AsyncIterator[Engine]:
    with ThreadPoolExecutor(max_workers=1) as executor:
        engine = LocalEngine(executor, inflight="wait")
        yield engine
        await engine.close()


@asynccontextmanager
async def open_keeping() -> AsyncIterator[Engine]:
    with ThreadPoolExecutor(max_workers=1) as executor:
        engine = LocalEngine(executor, inflight="keep")
        yield engine
        await engine.close()


@asynccontextmanager
async def open_vllm() -> AsyncIterator[Engine]:
    with ThreadPoolExecutor(max_workers=1) as executor:
        engine = VllmConfig(cache_megabytes=16).build(executor, seed=0)
        yield engine
        await engine.close()


@asynccontextmanager
async def open_server() -> AsyncIterator[Engine]:
    with ThreadPoolExecutor(max_workers=1) as executor:
        async with serving(LocalEngine(executor)) as server, agent(server.url) as engine:
            yield Followed(engine, [server.host])


@asynccontextmanager
async def open_vllm_server() -> AsyncIterator[Engine]:
    with ThreadPoolExecutor(max_workers=1) as executor:
        hosted = VllmConfig(cache_megabytes=16).build(executor, seed=0)
        async with serving(hosted) as server, agent(server.url) as engine:
            yield Followed(engine, [server.host])


@pytest.fixture(
    params=[
        open_scripted,
        open_answering,
        open_waiting,
        open_keeping,
        open_server,
        pytest.param(open_vllm, marks=pytest.mark.vllm),
        pytest.param(open_vllm_server, marks=pytest.mark.vllm),
    ]
)
def open_engine(request: pytest.FixtureRequest) -> Open:
    opener: Open = request.param
    return opener


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> list[Checkpoint]:
    root = tmp_path_factory.mktemp("checkpoints")
    return [save_checkpoint(root / str(seed), seed) for seed in range(3)]
