"""What the dashboard costs on a long log: memory of its server, a jump of the slider, events that
come while somebody looks, the first paint in a browser and its heap. The log is made up, on SQLite.

    python benchmarks/dashboard.py [--events 1000000] [--quick]

The last line is one JSON object; the exit code is 1 where a bar is missed: 300 MB for the server,
500 ms of the processor for a jump, 2 s to the first paint, 150 MB of heap, and a second behind
while 1,000 events a second come. What is on the clock is with all that the machine does beside.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from statistics import median
from typing import Any
from urllib.request import urlopen

# Run as a script, this file's neighbours would hide the package `bus`.
sys.path.insert(0, str(Path(__file__).parents[1]))

import psutil

from benchmarks._in_browser import painted
from benchmarks._judged_again import as_run
from benchmarks._long_run import RUN, LongRun
from benchmarks.audit import write
from bus.sqlite.bus import SqliteBus
from harness.runs import command, launch, say, show
from harness.shown import exit_code

MEMORY_MB, JUMP_MS, PAINT_SECONDS, HEAP_MB, BEHIND_SECONDS = 300, 500, 2.0, 150, 1.0
JUMPS, LIVE_SECONDS, PER_SECOND = 40, 20, 1_000
TASKS = 100
_PATIENCE_SECONDS = 3600
_LONGEST_LINE = 1 << 26


class Page:
    """A server over one run, and what it takes."""

    def __init__(self, url: str, process: psutil.Process) -> None:
        self.url, self.process = url, process

    def get(self, path: str) -> Any:
        with urlopen(f"{self.url}api/v1{path}", timeout=120) as answer:
            return json.load(answer)

    def ready(self) -> bool:
        [run] = self.get("/runs")["runs"]
        return bool(run["index"]["ready"] and run["index"]["events"])

    def seconds(self) -> float:
        """Of the processor, so far."""
        times = self.process.cpu_times()
        return float(times.user + times.system)

    def memory_mb(self) -> float:
        return float(self.process.memory_info().rss) / 1e6


@contextmanager
def served(run: Path) -> Iterator[Page]:
    printed = run.with_name("dashboard.txt")
    printed.unlink(missing_ok=True)
    process = launch(printed, command("dashboard", str(run), "--port", "0"), None)
    try:
        wait(lambda: printed.exists() and "http" in printed.read_text(), 120)
        page = Page(printed.read_text().splitlines()[0], psutil.Process(process.pid))
        wait(lambda: _answers(page), 120)
        yield page
    finally:
        process.terminate()
        process.wait()


def wait(what: Callable[[], bool], seconds: float) -> None:
    until = time.monotonic() + seconds
    while not what():
        if time.monotonic() > until:
            raise SystemExit("the dashboard does not answer")
        time.sleep(0.2)


def _answers(page: Page) -> bool:
    try:
        return bool(page.get("/runs")["runs"])
    except OSError:
        return False


def indexed(page: Page) -> dict[str, Any]:
    """The first reading of the whole log, and the memory meanwhile."""
    most, started = 0.0, time.monotonic()
    until = started + _PATIENCE_SECONDS
    while not page.ready() and time.monotonic() < until:
        most = max(most, page.memory_mb())
        time.sleep(1.0)
    [run] = page.get("/runs")["runs"]
    return {
        "events": run["index"]["done"],
        "first_reading_cpu_seconds": round(page.seconds(), 1),
        "first_reading_seconds": round(time.monotonic() - started, 1),
        "memory_mb": round(max(most, page.memory_mb())),
    }


def jumps(page: Page) -> dict[str, Any]:
    """To versions at random: their state, as the slider asks for it."""
    steps = page.get("/runs/run/resolve")["steps"]
    clock, processor, wrong, random = list[float](), list[float](), 0, Random(2)
    for _ in range(JUMPS):
        step = random.randrange(1, steps)
        began, used = time.monotonic(), page.seconds()
        at = page.get(f"/runs/run/resolve?step={step}")["at"]
        state = page.get(f"/runs/run/state?at={at}")
        clock.append(1000 * (time.monotonic() - began))
        processor.append(1000 * (page.seconds() - used))
        wrong += int(state["step"] != step or state["status"]["version"] != step - 1)
    return {
        "jump_ms": round(median(clock)),
        "jump_worst_ms": round(max(clock)),
        "jump_cpu_ms": round(median(processor)),
        "jump_cpu_worst_ms": round(max(processor)),
        "wrong_jumps": wrong,
    }


async def live(page: Page, run: Path, made: LongRun, seconds: int) -> dict[str, Any]:
    """Events come, so many a second, while one page listens: how long after they were said it has
    them, and whether it has all."""
    said: dict[str, float] = {}
    heard: dict[str, float] = {}
    listening = asyncio.Event()

    async def listen() -> None:
        host = page.url.split("/")[2]
        name, _, port = host.partition(":")
        reader, writer = await asyncio.open_connection(name, int(port), limit=_LONGEST_LINE)
        writer.write(f"GET /api/v1/stream HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        kind = ""
        while line := await reader.readline():
            text = line.decode().strip()
            if text.startswith("event: "):
                kind = text[7:]
                listening.set()
            elif text.startswith("data: ") and kind == "events":
                now = time.monotonic()
                heard.update((one["id"], now) for one in json.loads(text[6:])["events"])

    bus = SqliteBus(run / "log.sqlite", create=False)
    hearing = asyncio.create_task(listen())
    await asyncio.wait_for(listening.wait(), 60)
    events, used, began = made.events(seconds * PER_SECOND), page.seconds(), time.monotonic()
    for tick in range(seconds * 10):
        batch = [event for _, event in zip(range(PER_SECOND // 10), events, strict=False)]
        await bus.publish(batch)
        said.update((event.id, time.monotonic()) for event in batch)
        await asyncio.sleep(max(0.0, began + (tick + 1) / 10 - time.monotonic()))
    took = time.monotonic() - began
    for _ in range(600):
        if len(heard) >= len(said):
            break
        await asyncio.sleep(0.1)
    hearing.cancel()
    await bus.close()
    behind = sorted(heard[one] - at for one, at in said.items() if one in heard)
    return {
        "live_events_per_second": round(len(said) / took),
        "live_behind_seconds": round(median(behind), 2) if behind else None,
        "live_behind_worst_seconds": round(behind[-1], 2) if behind else None,
        "live_cpu_share": round((page.seconds() - used) / took, 2),
        "live_lost": len(said) - len(heard.keys() & said.keys()),
    }


def made(run: Path, number: int) -> LongRun:
    """A run of so many events in a new folder, and what goes on with it."""
    story = LongRun(TASKS)
    as_run(run, RUN)
    asyncio.run(write(run / "log.sqlite", story.events(number)))
    return story


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--quick", action="store_true", help="20,000 events")
    arguments = parser.parse_args()
    number = 20_000 if arguments.quick else arguments.events
    seconds = 5 if arguments.quick else LIVE_SECONDS
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        run.mkdir()
        say(f"writing {number:,} events")
        story = made(run, number)
        with served(run) as page:
            say("reading them")
            figures = indexed(page) | jumps(page)
            say("looking at them")
            figures |= painted(page.url, "run")
            figures |= asyncio.run(live(page, run, story, seconds))
            figures["memory_mb"] = max(figures["memory_mb"], round(page.memory_mb()))
    show(figures)
    figures |= {
        "too_large": int(figures["memory_mb"] > MEMORY_MB),
        "slow_jumps": int(figures["jump_cpu_worst_ms"] > JUMP_MS),
        "slow_paints": int(figures["first_paint_seconds"] > PAINT_SECONDS),
        "large_heaps": int(figures["heap_mb"] > HEAP_MB),
        "late": int((figures["live_behind_seconds"] or 0) > BEHIND_SECONDS),
    }
    none = ("too_large", "slow_jumps", "slow_paints", "large_heaps", "late", "live_lost")
    return exit_code(figures, {"events": number}, (*none, "wrong_jumps"))


if __name__ == "__main__":
    sys.exit(main())
