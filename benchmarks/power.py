"""Cuts the power of a live run again and again: its disk is an image that is copied while every
process stands still, and the run goes on with the copy. What anybody had seen as published must be
there, and the run must go on learning; it archives its log and trims it, and no event may be
missing. Then the price: events per second with and without.

    sudo python benchmarks/power.py [--cuts 20] [--seconds 1800] [--seed 3] [--quick]
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

import psutil

# Run as a script, this file's neighbours would hide the package `bus`.
sys.path.insert(0, str(Path(__file__).parents[1]))

from bus.errors import BusError
from bus.events import Event, Promotion, Task, derive_id
from bus.sqlite.bus import SqliteBus
from bus.sqlite.file import Synchronous
from bus.topics import TOPICS, Topic
from harness.disk import Disk
from harness.runs import Start, audit, say, show

SETTINGS = (
    'domain.families=["reverse"]',
    "domain.levels=[1, 2, 3, 4, 5]",
    "model.hidden=16",
    "model.intermediate=24",
    "model.layers=1",
    "model.heads=1",
    "model.head_dim=16",
    "warmup.steps=20",
    "warmup.batch=16",
    "trainer.size=8",
    "solver.samples=4",
    "evaluator.every=50",
    "evaluator.count=4",
    "retention.every_versions=3",
    "retention.keep=20",
)
MEGABYTES = 512
_POLL_SECONDS = 0.1
_STALLED_SECONDS = 240.0
_LONGEST_LIFE_SECONDS = 6.0
_BATCH = 64
"""As many events as make a version go before one that is durable."""


@dataclass(slots=True, kw_only=True)
class Damage:
    """What the cuts did. `lost` had been seen on the log by a reader and is not there any more."""

    cuts: int = 0
    refused: int = 0
    lost: int = 0
    seen: list[str] = field(default_factory=list)


def published(log: Path) -> list[str]:
    """The ids of the versions on a log, in order; none while there is no log."""
    with suppress(BusError):
        bus = SqliteBus(log, read_only=True)
        try:
            return [record.event_id for record in bus.read("weights")]
        finally:
            asyncio.run(bus.close())
    return []


def trimmed(log: Path) -> int:
    """How many events have left a log."""
    bus = SqliteBus(log, read_only=True)
    try:
        return sum(bus.starts().values())
    finally:
        asyncio.run(bus.close())


@contextmanager
def standing_still(start: Start) -> Iterator[None]:
    """Every process of a run is stopped, and does not live on."""
    family = [start.process, *start.process.children(recursive=True)]
    for one in family:
        with suppress(psutil.NoSuchProcess):
            one.suspend()
    try:
        yield
    finally:
        for one in family:
            with suppress(psutil.NoSuchProcess):
                one.kill()
        psutil.wait_procs(family, timeout=20)


def grown(start: Start, log: Path, count: int) -> bool:
    """Wait for so many versions; False when the run has ended by itself."""
    deadline = time.monotonic() + _STALLED_SECONDS
    while len(published(log)) < count:
        if start.code is not None:
            return False
        if time.monotonic() > deadline:
            raise SystemExit(f"{start.folder} stands still:\n{start.last_words()}")
        time.sleep(_POLL_SECONDS)
    return True


def cut(disk: Disk, run: Path, damage: Damage, random: Random) -> bool:
    """One life of the run, to a cut; False when it refuses to go on."""
    new = [] if damage.cuts else ["--recipe", "strings"]
    new += [word for setting in SETTINGS for word in ("--set", setting)] if new else []
    log = run / "log.sqlite"
    start = Start(run, *new, "--budget", "600s")
    try:
        # One version is the first that follows what was there: the run goes on.
        if not grown(start, log, len(damage.seen) + 1):
            say(start.last_words())
            damage.refused += 1
            return False
        time.sleep(random.uniform(0.0, _LONGEST_LIFE_SECONDS))
        with standing_still(start):
            seen = published(log)
            disk.cut()
    finally:
        start.end()
    disk.power_up()
    left = published(log)
    damage.cuts += 1
    damage.lost += len(set(seen) - set(left))
    damage.seen = left
    say(f"cut {damage.cuts}: {len(seen)} versions seen, {len(left)} left")
    return True


def torment(folder: Path, cuts: int, seconds: float, seed: int) -> dict[str, Any]:
    """Cut so often, within a time; then one run to a clean end and its audit: the figures."""
    disk, damage, random = Disk(folder, MEGABYTES), Damage(), Random(seed)
    run, started = disk.place / "run", time.monotonic()
    try:
        while damage.cuts < cuts and time.monotonic() - started < seconds:
            if not cut(disk, run, damage, random):
                break
        end = Start(run, "--budget", "3s")
        try:
            if end.process.wait(_STALLED_SECONDS) != 0:
                say(end.last_words())
                damage.refused += 1
        finally:
            end.end()
        audited = audit(run)
        for violation in audited["violations"][:20]:
            say(f"{violation['code']} {violation['sentence']}")
        aside = run / "checkpoints" / "aside"
        return {
            "cuts": damage.cuts,
            "refused": damage.refused,
            "lost": damage.lost,
            "versions_set_aside": len(list(aside.iterdir())) if aside.is_dir() else 0,
            "versions": len(published(run / "log.sqlite")),
            "violations": audited["counts"]["violations"],
            "trimmed": trimmed(run / "log.sqlite"),
            "events_per_second": prices(disk.place),
            "seconds": round(time.monotonic() - started, 1),
        }
    finally:
        disk.unmount()


def prices(folder: Path) -> dict[str, int]:
    """Events per second on this disk: with versions that are durable, without, and with every
    commit durable; one after the other, three times, the best."""
    lost = {name: replace(topic, durable=False) for name, topic in TOPICS.items()}
    ways: dict[str, tuple[Mapping[str, Topic], Synchronous]] = {
        "versions_durable": (TOPICS, "NORMAL"),
        "nothing_durable": (lost, "NORMAL"),
        "all_durable": (TOPICS, "FULL"),
    }
    best = dict.fromkeys(ways, 0)
    for turn in range(3):
        for name, (topics, synchronous) in ways.items():
            bus = SqliteBus(folder / f"{name}-{turn}.db", topics=topics, synchronous=synchronous)
            best[name] = max(best[name], asyncio.run(rate(bus)))
    return best


async def rate(bus: SqliteBus, batches: int = 20) -> int:
    """Events per second, each in a commit of its own, and one in `_BATCH` of the kind that makes
    a version visible."""
    events = [_event(number) for number in range(batches * (_BATCH + 1))]
    started = time.monotonic()
    for event in events:
        await bus.publish([event])
    seconds = time.monotonic() - started
    await bus.close()
    return round(len(events) / seconds)


def _event(number: int) -> Event:
    identity = derive_id("power", "bench", str(number))
    if number % (_BATCH + 1) == _BATCH:
        return Promotion(
            id=identity, run="power", agent="bench", weights=identity, weights_version=number,
            decision="promoted",
        )  # fmt: skip
    return Task(
        id=identity, run="power", agent="bench", domain="strings", family="reverse", level=1,
        prompt="reverse abc", question="abc backwards?", answer="cba", weights_version=0,
        granted_by=identity, source="uniform",
    )  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cuts", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=1800.0, help="of cutting, at most")
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="2 cuts")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.cuts = min(arguments.cuts, 2)
    with tempfile.TemporaryDirectory(prefix="evolvent-power-") as temporary:
        figures = torment(Path(temporary), arguments.cuts, arguments.seconds, arguments.seed)
    show(figures)
    damaged = any(figures[name] for name in ("refused", "lost", "violations"))
    return 1 if damaged or figures["cuts"] < arguments.cuts or not figures["trimmed"] else 0


if __name__ == "__main__":
    sys.exit(main())
