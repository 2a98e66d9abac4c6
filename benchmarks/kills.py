"""Kills random processes of a live run at random moments, then has the run audited: nothing may
be lost or learned from twice, and it must go on learning.

    python benchmarks/kills.py [--kills 200] [--seconds 900] [--seed 3] [--quick]

Every role is a process of its own. Some die by `kill -9` (a few at once, sometimes the supervisor,
while they serve or while they start), some at a fault point between two steps of a commit. Only
processes that this program started are killed.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

import psutil

# Run as a script, this file's neighbours would hide the package `bus`.
sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks._runs import Start, audit, is_alive, opened, read_scores, say, scores
from bus.bus import Bus

SERVES = {
    "proposer": "curricula",
    "solver": "attempts",
    "critic": "judgments",
    "evaluator": "evaluations",
    "trainer": "weights",
}
"""The topic on which a role shows that it serves."""

FAULTS = (
    "bus.committing",
    "bus.committed",
    *(
        f"{role}.{step}"
        for role in ("proposer", "solver", "critic", "evaluator")
        for step in ("completing", "completed")
    ),
    "trainer.before_stage",
    "trainer.staged",
    "trainer.synced",
    "trainer.renamed",
    "trainer.published",
)

SETTINGS = (
    "run.processes=" + json.dumps([[role] for role in SERVES]),
    'domain.families=["reverse"]',
    "domain.levels=[1, 2, 3, 4, 5, 6, 7, 8]",
    "warmup.steps=100",
    "trainer.size=24",
    "evaluator.every=3",
    "evaluator.count=16",
)

DAMAGE = ("lost", "duplicated", "trained_twice", "violations")
COUNTS = (*DAMAGE, "events", "versions", "epochs")
"""What the audit counts; the first must be zero."""

_TICK_SECONDS = 0.05
_FAULT_SECONDS = 15.0
_STALLED_SECONDS = 180.0


@dataclass(slots=True, kw_only=True)
class Harm:
    """What was done to a run, and how long its roles took to serve again."""

    kills: Counter[str] = field(default_factory=Counter)
    recoveries: list[float] = field(default_factory=list)

    @property
    def total(self) -> int:
        return self.kills.total()


class Tormentor:
    """One run and whoever kills its processes. Use it inside `asyncio.run`."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.harm = Harm()
        self._folder = folder
        self._random = Random(seed)
        self._faults = folder.with_name(f"{folder.name}-faults")
        self._faults.mkdir(parents=True)
        self._known: set[psutil.Process] = set()
        self._down: dict[str, tuple[float, int]] = {}
        chosen = [word for setting in SETTINGS for word in ("--set", setting)]
        self._start = self._begin("--recipe", "strings", *chosen)

    async def torment(self, kills: int, seconds: float) -> None:
        """Until so many processes were killed, or the time is over; then a clean stop."""
        deadline = time.monotonic() + seconds
        bus = await opened(self._folder, self._start)
        try:
            await self._until(bus, lambda: _version(bus) >= 1)
            while self.harm.total < kills and time.monotonic() < deadline:
                await self._strike(bus, kills - self.harm.total)
                if self._random.random() < 0.4:
                    await self._watch(bus, self._random.uniform(0, 3))
                else:
                    await self._recovered(bus)
                    await self._watch(bus, self._random.uniform(0, 0.5))
                say(f"{self.harm.total} of {kills} killed, version {_version(bus)}")
            await self._recovered(bus)
            last = _version(bus)
            await self._until(bus, lambda: _version(bus) >= last + 12 and _has_learned(bus))
        finally:
            await bus.close()
        code = self._start.interrupt()
        if code != 0:
            raise SystemExit(f"the run ended with code {code}:\n{self._start.last_words()}")

    def end(self) -> None:
        """Leave no process behind."""
        self._start.end()
        for process in self._known:
            if process.is_running():
                process.kill()

    def _begin(self, *arguments: str) -> Start:
        environment = {"EVOLVENT_FAULTS": str(self._faults)}
        return Start(self._folder, "--budget", "24h", *arguments, environment=environment)

    async def _strike(self, bus: Bus, left: int) -> None:
        kind = self._random.choices(("fault", "workers", "supervisor"), (40, 50, 10))[0]
        if kind == "fault":
            await self._by_fault(bus)
        elif kind == "workers":
            workers = self._workers()
            count = min(left, self._random.choice((1, 2, 2, 3, 4, 5)), len(workers))
            for roles in self._random.sample(sorted(workers), count):
                self._kill(bus, roles, workers[roles])
        else:
            workers = self._workers()
            self._kill(bus, "supervisor", self._start.process)
            if self._random.random() < 0.5:
                for roles, process in workers.items():
                    self._kill(bus, roles, process)
            else:
                # Orphans notice and end; the next start does not wait for them.
                self._noted(bus, workers)
            self._start.process.wait()
            await asyncio.sleep(self._random.uniform(0, 1))
            self._start = self._begin()

    async def _by_fault(self, bus: Bus) -> None:
        """Arm a fault point and wait for a process to die there."""
        name = self._random.choice(FAULTS)
        armed = self._faults / name
        before = self._workers()
        armed.touch()
        deadline = time.monotonic() + _FAULT_SECONDS
        while armed.exists() and time.monotonic() < deadline:
            before |= self._workers()
            await self._watch(bus, _TICK_SECONDS)
        try:
            armed.unlink()
        except FileNotFoundError:
            self.harm.kills[name] += 1
            await asyncio.sleep(_TICK_SECONDS)
            self._noted(bus, (roles for roles, dead in before.items() if not is_alive(dead)))

    def _kill(self, bus: Bus, roles: str, process: psutil.Process) -> None:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            return
        self.harm.kills[f"kill -9 {roles}"] += 1
        self._noted(bus, [roles] if roles in SERVES else [])

    def _noted(self, bus: Bus, roles: Iterable[str]) -> None:
        for role in roles:
            since, _ = self._down.get(role, (time.monotonic(), 0))
            self._down[role] = (since, _served(bus, role))

    async def _watch(self, bus: Bus, seconds: float) -> None:
        """Let the run go on for a while, see who serves again, restart a dead supervisor."""
        end = time.monotonic() + seconds
        while True:
            for role, (since, before) in list(self._down.items()):
                if _served(bus, role) > before:
                    self.harm.recoveries.append(time.monotonic() - since)
                    del self._down[role]
                elif time.monotonic() - since > _STALLED_SECONDS:
                    raise SystemExit(f"{role} stalls:\n{self._start.last_words()}")
            if self._start.code is not None:
                # A fault point on the bus strikes the supervisor too.
                if self._start.code != -9:
                    raise SystemExit(
                        f"the run ended with code {self._start.code}:\n{self._start.last_words()}"
                    )
                self._noted(bus, SERVES)
                self._start = self._begin()
            if time.monotonic() >= end:
                return
            await asyncio.sleep(_TICK_SECONDS)

    async def _recovered(self, bus: Bus) -> None:
        while self._down:
            await self._watch(bus, _TICK_SECONDS)

    async def _until(self, bus: Bus, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _STALLED_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                raise SystemExit(f"the run stalls:\n{self._start.last_words()}")
            await self._watch(bus, 10 * _TICK_SECONDS)

    def _workers(self) -> dict[str, psutil.Process]:
        workers = self._start.workers()
        self._known.update(workers.values())
        return workers


def _served(bus: Bus, role: str) -> int:
    return sum(end for (topic, _), end in bus.heads().items() if topic == SERVES[role])


def _version(bus: Bus) -> int:
    return bus.heads()["weights", 0] - 1


def _has_learned(bus: Bus) -> bool:
    found = scores(bus)
    return found[-1].mean > found[0].mean


def measure(folder: Path, kills: int, seconds: float, seed: int) -> dict[str, Any]:
    """Torment a run in `folder`, audit it; the figures."""
    started = time.monotonic()

    async def whole() -> Harm:
        tormentor = Tormentor(folder, seed)
        try:
            await tormentor.torment(kills, seconds)
        finally:
            tormentor.end()
        return tormentor.harm

    harm = asyncio.run(whole())
    audited = audit(folder)
    for violation in audited["violations"][:20]:
        say(f"{violation['code']} {violation['sentence']}")
    counts = audited["counts"]
    held_out = read_scores(folder)
    return {
        "kills": harm.total,
        **{name: counts[name] for name in COUNTS},
        "held_out_start": round(held_out[0].mean, 4),
        "held_out_end": round(held_out[-1].mean, 4),
        "recovery_seconds": {
            "median": round(median(harm.recoveries), 2),
            "max": round(max(harm.recoveries), 2),
        },
        "seconds": round(time.monotonic() - started, 1),
        "killed_by": dict(sorted(harm.kills.items())),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=900.0, help="of killing, at most")
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="10 kills, at most 25 s of them")
    parser.add_argument("--dir", type=Path, help="keep the run here [default: a temporary folder]")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.kills, arguments.seconds = min(arguments.kills, 10), 25.0
    with tempfile.TemporaryDirectory(prefix="evolvent-kills-") as temporary:
        folder = arguments.dir or Path(temporary) / "run"
        figures = measure(folder, arguments.kills, arguments.seconds, arguments.seed)
    for name, value in figures.items():
        rows = value.items() if isinstance(value, dict) else [("", value)]
        for kind, number in rows:
            print(f"{f'{name} {kind}':40}{number!s:>10}")
    print(json.dumps(figures))
    learned = figures["held_out_end"] > figures["held_out_start"]
    return 1 if any(figures[name] for name in DAMAGE) or not learned else 0


if __name__ == "__main__":
    sys.exit(main())
