"""What is done to a run on Kafka: to its processes, its broker, its network, its groups and its
topics. Knows no bar.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Any

import psutil

from bus.errors import BusError
from evolvent.broker.broker import Broker
from harness.link import Link
from harness.patient import DAMAGE, SERVES, TICK_SECONDS, Patient
from harness.runs import audit, say
from harness.strangers import Strangers
from harness.tormentor import Tormentor

FORGIVEN = ("has taken over", "was silent for too long", "does not answer as it should")
"""What a process says that was fenced, because another one has its work, and what a run says that
is started while the broker is away."""

SOLVERS = ("solver-2", "solver-3", "solver-4")
_WAIT_SECONDS = 90.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much harm is done, in at most `seconds`; `planted` kills of each role that commits in
    two steps; the run has to publish `versions` more after all of it. `hurry` is how often
    new harm does not wait for recovery from the last, `strikes` how processes are killed."""

    kills: int = 200
    seconds: float = 2400.0
    broker_restarts: int = 20
    cuts: int = 20
    zombies: int = 12
    rebalances: int = 15
    strangers: int = 10
    audits: int = 5
    planted: int = 3
    versions: int = 12
    hurry: float = 0.4
    strikes: tuple[int, int, int] = (40, 50, 10)

    @classmethod
    def quick(cls) -> "Plan":
        """One kill, one restart of the broker and one cut, all in a hurry."""
        return cls(
            kills=1,
            seconds=600,
            broker_restarts=1,
            cuts=1,
            zombies=0,
            rebalances=0,
            strangers=0,
            audits=0,
            planted=1,
            versions=1,
            hurry=1.0,
            strikes=(0, 1, 0),
        )

    def wanted(self) -> dict[str, float]:
        """The figures that a run must come to for all of it to be done."""
        return {
            "kills": self.kills,
            "broker_restarts": self.broker_restarts,
            "cuts": self.cuts,
            "zombies": self.zombies,
            "rebalances": self.rebalances,
            "audits": self.audits,
        }

    def steps(self, random: Random) -> list[str]:
        steps = [
            *["broker"] * self.broker_restarts,
            *["cut"] * self.cuts,
            *["zombie"] * self.zombies,
            *["rebalance"] * self.rebalances,
            *["strangers"] * self.strangers,
            *["audit"] * self.audits,
        ]
        random.shuffle(steps)
        return steps


class KafkaTormentor:
    """Whoever harms `patient`; the random numbers decide what and when."""

    def __init__(
        self, patient: Patient, broker: Broker, link: Link, strangers: Strangers, random: Random
    ) -> None:
        self.patient = patient
        self.done: Counter[str] = Counter()
        self._broker, self._link, self._strangers = broker, link, strangers
        self._random = random
        self._unburied: list[str] = []
        self._handovers = 0

    async def torment(self, plan: Plan) -> None:
        """All of the plan, or until its time is over; then a clean stop."""
        patient, random = self.patient, self._random
        async with patient.watched() as self._bus:
            await patient.until(lambda: patient.version >= 1)
            deadline = time.monotonic() + plan.seconds
            patient.employ("solver", SOLVERS[0])
            steps = plan.steps(random)
            while steps and time.monotonic() < deadline:
                await self._kill_some(plan, len(steps))
                await self._do(steps)
                if random.random() >= plan.hurry:
                    await patient.recovered()
                self._say(plan, len(steps))
            while patient.harm.total < plan.kills and time.monotonic() < deadline:
                await self._kill_some(plan, 1)
            await patient.recovered()
            last = patient.version
            await patient.until(lambda: patient.version >= last + plan.versions)
            await self._came(lambda: not self._strangers.unburied(self._bus))
            self._unburied = self._strangers.unburied(self._bus)
            self._handovers = sum(lag.epoch for lag in self._bus.log.lag("solver"))
        patient.stop()

    async def _kill_some(self, plan: Plan, steps: int) -> None:
        """This step's share of the kills."""
        patient, random = self.patient, self._random
        share = (plan.kills - patient.harm.total) / steps
        while share > 0 and random.random() < share:
            before = patient.harm.total
            await Tormentor(patient, random).strike(plan.kills - before, plan.strikes)
            share -= max(1, patient.harm.total - before)
            await patient.watch(random.uniform(0, 1))

    def figures(self) -> dict[str, Any]:
        return {
            "kills": self.patient.harm.total,
            "broker_restarts": self.done["broker"],
            "cuts": self.done["cut"],
            "zombies": self.done["zombie"],
            "rebalances": self.done["rebalance"],
            "handovers": self._handovers,
            "audits": self.done["audit"],
            "poison": self._strangers.poison,
            "oversized": self._strangers.oversized,
            "oversized_refused": self._strangers.refused,
            "duplicates_injected": self._strangers.copies,
            "unburied": len(self._unburied),
        }

    def _say(self, plan: Plan, left: int) -> None:
        patient = self.patient
        done = ", ".join(f"{number} {kind}" for kind, number in sorted(self.done.items()))
        say(
            f"{patient.harm.total} of {plan.kills} killed, {done}; {left} steps left, "
            f"version {patient.version}"
        )

    async def _do(self, steps: list[str]) -> None:
        """The next step; one that met nobody at work is put back."""
        step = steps.pop()
        before = self.done[step]
        act = {
            "broker": self._restart_broker,
            "cut": self._cut,
            "zombie": self._zombie,
            "rebalance": self._rebalance,
            "strangers": self._let_strangers_write,
            "audit": self._audit,
        }
        await act[step]()
        if self.done[step] == before:
            steps.insert(self._random.randrange(len(steps) + 1), step)
            await self.patient.watch(1)

    async def _restart_broker(self) -> None:
        """A crash of the broker; sometimes nobody is there for a while."""
        await asyncio.to_thread(self._broker.kill)
        self.patient.harmed("broker", SERVES)
        await asyncio.sleep(self._random.choice((0, 0, 2, 5)))
        await asyncio.to_thread(self._broker.start)
        self.done["broker"] += 1

    async def _cut(self) -> None:
        """One process is away; what it sent arrives late, or its connections are broken."""
        serving = set().union(*(self._owners(role) for role in SERVES))
        name, process = self._anyone(serving)
        if not self._link.cut(process):
            # It has just begun, or ended.
            self._link.heal(late=True)
            return
        self.patient.harmed("cut", [name])
        try:
            await self.patient.watch(self._random.uniform(1, 8))
        finally:
            self._link.heal(late=self._random.random() < 0.5)
        self.done["cut"] += 1

    async def _zombie(self) -> None:
        """Someone sleeps until all it had belongs to others, then wakes up and goes on."""
        role = self._random.choice(("solver", "solver", "solver", "critic", "trainer"))
        heir = SOLVERS[-1] if role == "solver" else f"{role}-2"
        await self._came(lambda: bool(self._owners(role) - {heir, ""}))
        name, process = self._anyone(self._owners(role) - {heir})
        process.suspend()
        self.patient.harmed("zombie", [name])
        try:
            if heir not in self.patient.agents:
                self.patient.employ(role, heir)
            taken_over = await self._came(lambda: name not in self._owners(role))
        finally:
            process.resume()
        self.patient.harmed("zombie", [name])
        back = await self._came(
            lambda: (
                not process.is_running()
                or process.status() == psutil.STATUS_ZOMBIE
                or name in self._bus.log.members(role)
            )
        )
        self.done["zombie"] += taken_over and back
        await self.patient.dismiss(heir)

    async def _rebalance(self) -> None:
        """Solvers come and go while there is work."""
        patient, random = self.patient, self._random
        for _ in range(random.randint(2, 4)):
            name = random.choice(SOLVERS)
            if name not in patient.agents:
                patient.employ("solver", name)
            elif random.random() < 0.5:
                await patient.dismiss(name)
            else:
                patient.kill(name, patient.agents[name].process)
            self.done["rebalance"] += 1
            await patient.watch(random.uniform(0, 3))

    async def _let_strangers_write(self) -> None:
        strangers, random = self._strangers, self._random
        for topic in ("tasks", "attempts", "judgments", "control"):
            await strangers.write_garbage(self._bus, topic)
        await strangers.write_too_much(self._bus, random.choice(("tasks", "attempts")))
        for topic in ("tasks", "attempts", "judgments"):
            await strangers.copy(self._bus, self.patient.folder, topic)
        self.done["strangers"] += 1

    async def _audit(self) -> None:
        """Also of a live run."""
        audited = await asyncio.to_thread(audit, self.patient.folder)
        if any(audited["counts"][name] for name in DAMAGE):
            raise SystemExit(f"the audit found {audited['violations'][:5]}")
        self.done["audit"] += 1

    def _anyone(self, among: Collection[str] | None = None) -> tuple[str, psutil.Process]:
        processes = self.patient.processes()
        names = [one for one in sorted(processes) if among is None or one in among]
        name = self._random.choice(names or sorted(processes))
        return name, processes[name]

    def _owners(self, group: str) -> set[str]:
        return {lag.owner for lag in self._bus.log.lag(group)}

    async def _came(self, condition: Callable[[], bool]) -> bool:
        """Wait for it, as long as it could take."""
        until = time.monotonic() + _WAIT_SECONDS
        while time.monotonic() < until:
            with suppress(BusError, psutil.Error):
                if condition():
                    return True
            await self.patient.watch(TICK_SECONDS)
        return False
