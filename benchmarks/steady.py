"""Whether a run stays as it is: the default recipe for half an hour, and how the memory and the
open handles of each process and the lag of each group have grown, by the slope of their samples.

    python benchmarks/steady.py [--bus sqlite|kafka] [--minutes 30] [--dir DIR] [--quick]

The first fifth is left out: caches fill and models load. A figure is flat when the line through the
rest rises by less than a tenth of its mean, or by less than three standard errors of its slope.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import psutil

# Run as a script, this file's neighbours would hide the package `bus`.
sys.path.insert(0, str(Path(__file__).parents[1]))

from bus.bus import Bus
from harness.broker import broker
from harness.runs import Start, audit, follow, opened, say, show, started

EVERY_SECONDS = 5.0
SAY_SECONDS = 60.0
LEFT_OUT = 1 / 5
SMALL = 1 / 10
STANDARD_ERRORS = 3.0
NUM_MEANS = 30
"""Samples that follow each other are alike: the line goes through so many means of them."""

Samples = dict[str, list[tuple[float, float]]]


@dataclass(frozen=True, slots=True)
class Line:
    """Through samples, by least squares: what they rise by from first to last, and its error."""

    mean: float
    rise: float
    error: float

    @classmethod
    def through(cls, samples: list[tuple[float, float]]) -> "Line":
        kept = samples[int(len(samples) * LEFT_OUT) :]
        size = max(1, len(kept) // NUM_MEANS)
        parts = [kept[at : at + size] for at in range(0, len(kept) - size + 1, size)]
        times = [fmean(when for when, _ in part) for part in parts]
        values = [fmean(value for _, value in part) for part in parts]
        middle, mean = fmean(times), fmean(values)
        spread = sum((when - middle) ** 2 for when in times)
        pairs = list(zip(times, values, strict=True))
        slope = sum((when - middle) * (value - mean) for when, value in pairs) / spread
        rests = [value - mean - slope * (when - middle) for when, value in pairs]
        error = (sum(rest**2 for rest in rests) / (len(pairs) - 2) / spread) ** 0.5
        window = times[-1] - times[0]
        return cls(mean, slope * window, error * window)

    @property
    def flat(self) -> bool:
        return self.rise <= max(SMALL * self.mean, STANDARD_ERRORS * self.error)


def sample(start: Start, bus: Bus, seconds: float, samples: Samples) -> None:
    for name, process in {"supervisor": start.process, **start.workers()}.items():
        try:
            memory, handles = process.memory_info().rss / 2**20, process.num_fds()
        except psutil.Error:
            continue
        samples.setdefault(f"{name}: MiB", []).append((seconds, memory))
        samples.setdefault(f"{name}: handles", []).append((seconds, handles))
    for group in bus.log.groups():
        backlog = sum(one.backlog for one in bus.log.lag(group))
        samples.setdefault(f"{group}: lag", []).append((seconds, backlog))


async def watch(start: Start, seconds: float) -> tuple[Samples, int, int]:
    """Samples; and how many events and processes there were."""
    samples: Samples = {}
    bus = await opened(start.folder, start)
    processes: set[int] = set()
    try:
        began = said = time.monotonic()
        while (now := time.monotonic()) - began < seconds:
            await asyncio.to_thread(sample, start, bus, now - began, samples)
            processes |= {one.pid for one in start.workers().values()}
            if now - said > SAY_SECONDS:
                said = now
                say(f"{(now - began) / 60:.0f} min, {sum(bus.log.heads().values()):,} events")
            if not await follow(bus, start, EVERY_SECONDS):
                raise SystemExit(f"the run ended:\n{start.last_words()}")
        return samples, sum(bus.log.heads().values()), len(processes)
    finally:
        await bus.close()


def measure(folder: Path, address: str | None, minutes: float) -> dict[str, Any]:
    words = ["--budget", "24h"]
    if address:
        words += ["--set", "bus.type=kafka", "--set", f"bus.bootstrap_servers={address}"]
    with started(folder, *words) as start:
        samples, events, processes = asyncio.run(watch(start, minutes * 60))
        workers = len(start.workers())
        code = start.interrupt()
    lines = {name: Line.through(some) for name, some in samples.items()}
    return {
        "minutes": minutes,
        "events": events,
        "exit_code": code,
        "processes_that_died": processes - workers,
        "mean": {name: round(line.mean, 1) for name, line in lines.items()},
        "rise": {name: round(line.rise, 2) for name, line in lines.items()},
        "error": {name: round(line.error, 2) for name, line in lines.items()},
        "not_flat": sorted(name for name, line in lines.items() if not line.flat),
        "violations": audit(folder)["counts"]["violations"],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="Whether a run stays as it is.")
    parser.add_argument("--bus", choices=("sqlite", "kafka"), default="sqlite")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--dir", type=Path, help="keep the run here [default: a temporary folder]")
    parser.add_argument("--quick", action="store_true", help="one minute: says nothing of a slope")
    chosen = parser.parse_args()
    with ExitStack() as stack:
        temporary = stack.enter_context(tempfile.TemporaryDirectory(prefix="evolvent-steady-"))
        address = None
        if chosen.bus == "kafka":
            address = stack.enter_context(broker(Path(temporary)))
        folder = chosen.dir or Path(temporary) / "run"
        figures = measure(folder, address, 1.0 if chosen.quick else chosen.minutes)
    show(figures)
    broken = figures["exit_code"] or figures["processes_that_died"] or figures["violations"]
    return 1 if broken or (figures["not_flat"] and not chosen.quick) else 0


if __name__ == "__main__":
    sys.exit(main())
