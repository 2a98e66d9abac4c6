"""All engines and what they are held against, on the same work in alternating rounds; then swaps
of every engine, idle and with requests in flight. Servers that are not asked idle.
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from agents.engines.config import LocalConfig, ServerConfig, VllmConfig
from agents.engines.engine import Engine, Request
from agents.engines.engine import Swap as Report
from benchmarks._baselines import (
    ContinuousTransformers,
    RawHttp,
    RawTransformers,
    RawVllm,
    running,
    vllm_server,
    wait_for,
)
from benchmarks._work import make_checkpoint, make_requests
from bus.bus import Bus
from bus.events import Weights, derive_id
from evolvent.recipe.load import load_recipe
from evolvent.run.folder import RunFolder
from harness.broker import free_port

CONCURRENCY, IN_FLIGHT, MAX_ROWS, NEW_TOKENS = (64, 256, 512), 256, 512, 32

Way = Callable[[Sequence[Request]], Awaitable[int]]


class Log:
    """A run that the benchmark writes itself: a checkpoint and an event per version."""

    def __init__(self, folder: Path, bus: Bus) -> None:
        self._folder = folder
        self._bus = bus
        self._checkpoints = [make_checkpoint(folder / f"c{seed}", seed) for seed in range(2)]
        self.newest = -1

    def checkpoint(self, version: int) -> tuple[Path, dict[str, str]]:
        return self._checkpoints[version % 2]

    async def publish(self, version: int) -> None:
        folder, files = self.checkpoint(version)
        event = Weights(
            id=_id(version),
            run="rollouts",
            agent="benchmark",
            number=version,
            parent=version - 1 if version else None,
            parent_id=_id(version - 1) if version else None,
            location=folder.name,
            files=files,
            step=version,
            epoch=1,
        )
        await self._bus.publish([event])


def _id(version: int) -> str:
    return derive_id("rollouts", "benchmark", str(version))


async def generate(engine: Engine, requests: Sequence[Request]) -> int:
    """All at once through an engine; the number of tokens made."""
    made = await asyncio.gather(*map(engine.generate, requests))
    return sum(len(sample.tokens) for samples in made for sample in samples)


async def speeds(ways: dict[str, Way], num_rows: int, rounds: int) -> dict[str, int]:
    """Tokens per second of every way: the median of rounds in turn, the first left out."""
    requests = make_requests(num_rows, NEW_TOKENS)
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds + 1):
        for name, run in ways.items():
            started = time.perf_counter()
            made = await run(requests)
            taken[name].append(time.perf_counter() - started)
            assert made == num_rows * NEW_TOKENS, (name, made)
    return {name: round(num_rows * NEW_TOKENS / median(each[1:])) for name, each in taken.items()}


async def swaps(
    engine: Engine, log: Log, num_rows: int, count: int, followed: bool
) -> dict[str, Any]:
    """`count` swaps while `num_rows` samples are always asked for: how long, and what was lost."""
    requests = make_requests(num_rows, NEW_TOKENS) if num_rows else []
    finished, asked, answered = asyncio.Event(), 0, 0
    taken: list[float] = []
    reports: list[Report] = []

    async def caller(request: Request) -> None:
        nonlocal asked, answered
        while not finished.is_set():
            asked += 1
            made = await engine.generate(request)
            answered += len(made) == request.n

    async def swapper() -> None:
        for version in range(engine.version + 1, engine.version + 1 + count):
            await asyncio.sleep(0.1)
            started = time.perf_counter()
            if followed:
                await log.publish(version)
            reports.append(await engine.swap(version, *log.checkpoint(version)))
            taken.append(1e3 * (time.perf_counter() - started))
        finished.set()

    await asyncio.gather(*map(caller, requests), swapper())
    return {
        "swap_ms": round(median(taken), 2),
        "pause_ms": round(median(report.pause_ms for report in reports), 2),
        "lost": asked - answered,
    }


@contextmanager
def our_server(run: Path, port: int) -> Iterator[str]:
    """`evolvent serve` with vLLM, in a process of its own."""
    program = "import sys; from evolvent.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "serve", str(run), "--port", str(port)]
    command += ["--set", "engine.type=vllm", "--set", f"engine.max_rows={MAX_ROWS}"]
    with running(command, {"OMP_NUM_THREADS": "1"}):
        yield f"http://127.0.0.1:{port}"


async def measure_engines(root: Path, quick: bool, rounds: int) -> dict[str, Any]:
    """The table: tokens per second by engine and concurrency, swaps, what was lost."""
    folder = RunFolder(root / "run")
    folder.create(load_recipe("words"))
    with ExitStack() as stack:
        async with folder.log(writable=True) as bus:
            log = Log(folder.path, bus)
            await log.publish(0)
            ours = stack.enter_context(our_server(folder.path, free_port()))
            theirs = stack.enter_context(vllm_server(log.checkpoint(0)[0], free_port(), MAX_ROWS))
            executor = stack.enter_context(ThreadPoolExecutor(1))
            config = VllmConfig(max_rows=MAX_ROWS)
            engines: dict[str, Engine] = {
                "local": LocalConfig().build(executor, 0),
                "vllm": config.build(executor, 0),
                "server": ServerConfig(urls=(ours,)).build(executor, 0),
            }
            for engine in engines.values():
                await engine.swap(0, *log.checkpoint(0))
            await asyncio.to_thread(wait_for, theirs)
            ways = _ways(engines, log.checkpoint(0)[0], config, theirs)
            concurrency = CONCURRENCY[:1] if quick else CONCURRENCY
            figures = await _table(ways, concurrency, rounds)
            figures |= await _swap_table(engines, log, 3 if quick else 20)
            for engine in engines.values():
                await engine.close()
    return figures


def _ways(engines: dict[str, Engine], folder: Path, config: VllmConfig, url: str) -> dict[str, Way]:
    def through(engine: Engine) -> Way:
        return lambda requests: generate(engine, requests)

    return {name: through(engine) for name, engine in engines.items()} | {
        "raw_vllm": RawVllm(folder, config).run,
        "raw_http": RawHttp(url).run,
        "generate": RawTransformers(folder).run,
        "generate_batch": ContinuousTransformers(folder).run,
    }


async def _table(ways: dict[str, Way], concurrency: Sequence[int], rounds: int) -> dict[str, Any]:
    by_rows = {num_rows: await speeds(ways, num_rows, rounds) for num_rows in concurrency}
    return {
        "tokens_per_second": {
            name: {str(num_rows): by_rows[num_rows][name] for num_rows in concurrency}
            for name in ways
        },
        "vllm_to_raw_vllm": {
            str(rows): round(made["vllm"] / made["raw_vllm"], 2) for rows, made in by_rows.items()
        },
        "server_to_raw_http": {
            str(rows): round(made["server"] / made["raw_http"], 2) for rows, made in by_rows.items()
        },
    }


async def _swap_table(engines: dict[str, Engine], log: Log, count: int) -> dict[str, Any]:
    figures: dict[str, Any] = {"swap_ms": {}, "pause_ms": {}, "lost": 0}
    for name, engine in engines.items():
        idle = await swaps(engine, log, 0, count, name == "server")
        busy = await swaps(engine, log, IN_FLIGHT, count, name == "server")
        for key in ("swap_ms", "pause_ms"):
            figures[key][name] = {"idle": idle[key], str(IN_FLIGHT): busy[key]}
        figures["lost"] += idle["lost"] + busy["lost"]
    return figures
