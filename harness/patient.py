"""A run whose processes are harmed, and how long its roles take to serve again. Chooses no harm."""

import asyncio
import json
import signal
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from statistics import median

import psutil

from bus.bus import Bus
from bus.errors import BusError
from harness.runs import Agent, Start, is_alive, opened, scores

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

TICK_SECONDS = 0.1
_FAULT_SECONDS = 15.0
_SEEN_SECONDS = 1.0
"""A successor may have been created before its predecessor was seen dead."""
_STALLED_SECONDS = 180.0

Recoveries = dict[str, list[float]]


@dataclass(slots=True, kw_only=True)
class Harm:
    """What was done to a run, how long its roles took to serve again by the kind of harm, and
    what those said last that ended by themselves."""

    kills: Counter[str] = field(default_factory=Counter)
    recoveries: Recoveries = field(default_factory=lambda: defaultdict(list))
    ended: Counter[str] = field(default_factory=Counter)
    starts: list[float] = field(default_factory=list)
    """Seconds from the creation of each process until it served."""

    beyond: list[float] = field(default_factory=list)
    """What each recovery took beyond the longest start of a process that it waited for."""

    @property
    def total(self) -> int:
        return self.kills.total()

    def recovery_seconds(self) -> dict[str, float]:
        return spread([one for some in self.recoveries.values() for one in some])

    def start_seconds(self) -> dict[str, float]:
        return spread(self.starts)

    def beyond_start_seconds(self) -> dict[str, float]:
        """Recovery less the start of the slowest process that was started meanwhile: a role that is
        back in two seconds answers nothing before those are back that it hears from."""
        return spread(self.beyond)


def spread(seconds: Sequence[float]) -> dict[str, float]:
    return {
        "median": round(median(seconds), 2) if seconds else 0.0,
        "max": round(max(seconds), 2) if seconds else 0.0,
    }


@dataclass(slots=True, kw_only=True)
class Down:
    """A role that was harmed, and what had come from it when the log was first seen again."""

    kind: str
    since: float
    before: int | None = None


class Patient:
    """One run, started with `words`; `agents` are processes of single roles beside it. A process
    that ends saying one of `forgiven` is started again. Use it inside `asyncio.run`."""

    def __init__(self, folder: Path, words: Sequence[str], forgiven: Sequence[str] = ()) -> None:
        self.harm = Harm()
        self.folder = folder
        self.agents: dict[str, Agent] = {}
        self._forgiven = forgiven
        self._faults = folder.with_name(f"{folder.name}-faults")
        self._faults.mkdir(parents=True)
        self._known: set[psutil.Process] = set()
        self._down: dict[str, Down] = {}
        self._recovered: list[tuple[float, float]] = []
        self._heads: Mapping[tuple[str, int], int] = {}
        self._looked_at = 0.0
        self.start = self._begin(*words)

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[Bus]:
        """The log, looked at all the time; harm is done inside."""
        self.bus = await opened(self.folder, self.start)
        async with asyncio.TaskGroup() as tasks:
            looking = tasks.create_task(self._look())
            try:
                yield self.bus
            finally:
                looking.cancel()
                await self.bus.close()

    @property
    def environment(self) -> dict[str, str]:
        return {"EVOLVENT_FAULTS": str(self._faults)}

    @property
    def version(self) -> int:
        return self._count("weights") - 1

    def begin(self) -> None:
        """Start the run again."""
        self.start = self._begin()

    def employ(self, role: str, name: str) -> Agent:
        """A process of its own for one role, under the name `name`."""
        self.agents[name] = Agent(self.folder, role, name, environment=self.environment)
        self._known.add(self.agents[name].process)
        return self.agents[name]

    async def dismiss(self, name: str) -> None:
        """Stop an agent in order."""
        agent = self.agents.pop(name)
        code = await asyncio.to_thread(agent.terminate)
        # It may not have come so far as to listen.
        if code not in (0, -signal.SIGTERM):
            self._ended(name, code, agent.last_words())

    def processes(self) -> dict[str, psutil.Process]:
        """All live processes that serve, by their names."""
        found = self.start.workers()
        self._known.update(found.values())
        agents = {name: agent.process for name, agent in self.agents.items() if agent.code is None}
        return found | agents

    def kill(self, name: str, process: psutil.Process) -> None:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            return
        self.harm.kills[f"kill -9 {name}"] += 1
        self.harmed("kill", [name])

    async def by_fault(self, name: str) -> None:
        """Arm a fault point and wait for a process to die there."""
        armed = self._faults / name
        before = self.processes()
        armed.touch()
        deadline = time.monotonic() + _FAULT_SECONDS
        while armed.exists() and time.monotonic() < deadline:
            before |= self.processes()
            await self.watch(TICK_SECONDS)
        try:
            armed.unlink()
        except FileNotFoundError:
            self.harm.kills[name] += 1
            await asyncio.sleep(TICK_SECONDS)
            self.harmed("fault", (who for who, dead in before.items() if not is_alive(dead)))

    async def kill_supervisor(self, *, with_workers: bool, pause_seconds: float) -> None:
        workers = self.start.workers()
        self._known.update(workers.values())
        self.kill("supervisor", self.start.process)
        if with_workers:
            for name, process in workers.items():
                self.kill(name, process)
        else:
            # Orphans notice and end; the next start does not wait for them.
            self.harmed("kill", workers)
        self.start.process.wait()
        await asyncio.sleep(pause_seconds)
        self.begin()

    def harmed(self, kind: str, names: Iterable[str]) -> None:
        """From now on these roles are watched until they serve again."""
        for name in names:
            role = name.partition("-")[0]
            if role in SERVES and role not in self._down:
                self._down[role] = Down(kind=kind, since=time.monotonic())

    async def watch(self, seconds: float) -> None:
        """Let the run go on for a while, see who serves again, start again what has ended."""
        end = time.monotonic() + seconds
        while True:
            for role, down in list(self._down.items()):
                self._look_after(role, down)
            if self.start.code is not None:
                self._ended("run", self.start.code, self.start.last_words())
                self.harmed("kill", SERVES)
                self.begin()
            for name, agent in list(self.agents.items()):
                if agent.code is not None:
                    self._ended(name, agent.code, agent.last_words())
                    self.employ(agent.role, name)
            if time.monotonic() >= end:
                return
            await asyncio.sleep(TICK_SECONDS)

    async def recovered(self) -> None:
        while self._down:
            await self.watch(TICK_SECONDS)

    async def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _STALLED_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                raise SystemExit(f"the run stalls:\n{self.start.last_words()}")
            await self.watch(10 * TICK_SECONDS)

    def has_learned(self) -> bool:
        found = scores(self.bus)
        return len(found) > 1 and found[-1].mean > found[0].mean

    def stop(self) -> None:
        """A clean stop of everything."""
        for agent in self.agents.values():
            agent.terminate()
        code = self.start.interrupt()
        if code != 0:
            raise SystemExit(f"the run ended with code {code}:\n{self.start.last_words()}")

    def end(self) -> None:
        """Leave no process behind."""
        self.start.end()
        for process in self._known:
            if process.is_running():
                process.kill()
        served = self._served()
        lives = [
            (process.create_time(), served[process.pid])
            for process in self._known
            if process.pid in served
        ]
        self.harm.starts = [end - start for start, end in lives]
        for since, until in self._recovered:
            meanwhile = [
                end - start for start, end in lives if since - _SEEN_SECONDS < start < end < until
            ]
            if meanwhile:
                self.harm.beyond.append(until - since - max(meanwhile))

    def _served(self) -> dict[int, float]:
        """When each process began to serve, as the logs of the run say it."""
        lines = "".join(file.read_text() for file in (self.folder / "logs").glob("*.log"))
        found = (json.loads(line) for line in lines.splitlines() if '"said": "serving ' in line)
        return {said["process"]: datetime.fromisoformat(said["time"]).timestamp() for said in found}

    def _begin(self, *arguments: str) -> Start:
        return Start(self.folder, "--budget", "24h", *arguments, environment=self.environment)

    def _ended(self, name: str, code: int, said: str) -> None:
        """A crash or a kill is mended by a new start; what needs a person is not forgiven."""
        if code == -signal.SIGKILL:
            return
        if code != 1 and not any(sentence in said for sentence in self._forgiven):
            raise SystemExit(f"{name} ended with code {code}:\n{said}")
        self.harm.ended[f"{name}, code {code}: {said.strip().splitlines()[-1][:200]}"] += 1

    def _look_after(self, role: str, down: Down) -> None:
        count, waited = self._count(SERVES[role]), time.monotonic() - down.since
        if down.before is None and self._looked_at > down.since:
            down.before = count
        if down.before is not None and count > down.before:
            self.harm.recoveries[down.kind].append(waited)
            self._recovered.append((time.time() - waited, time.time()))
            del self._down[role]
        elif waited > _STALLED_SECONDS:
            raise SystemExit(f"{role} stalls:\n{self.start.last_words()}")

    async def _look(self) -> None:
        """An answer may be long in coming while the broker is away."""
        while True:
            now = time.monotonic()
            with suppress(BusError):
                self._heads = await asyncio.to_thread(self.bus.log.heads)
                self._looked_at = now
            await asyncio.sleep(TICK_SECONDS)

    def _count(self, topic: str) -> int:
        return sum(end for (name, _), end in self._heads.items() if name == topic)
