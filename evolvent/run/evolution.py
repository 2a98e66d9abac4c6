"""A run on the move.

processes up -> evolve until the budget ends or Ctrl-C -> trainer stops -> last version evaluated
    -> processes stop
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

from rich.console import Console

from bus.bus import Bus
from bus.control import ALL
from bus.events import Control, derive_id
from bus.tracing.sending import saying
from evolvent.recipe.recipe import Recipe
from evolvent.roles import layout, services
from evolvent.run.child import Child
from evolvent.run.deaths import Deaths
from evolvent.run.folder import RunFolder
from evolvent.run.interrupts import Interrupts
from evolvent.run.supervisor import Supervisor
from evolvent.run.watch import Watch
from observability.metrics.points import Point, point
from observability.metrics.served import Served
from observability.terminal.activity import Activity, ProcessState
from observability.terminal.live import LiveView

LEARNS, MEASURES = "trainer", "evaluator"
"""Whom the end of a run waits for."""

_TICK_SECONDS = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How long to evolve, and the held-out accuracy that ends it sooner; how long the last version
    may take to be evaluated after that."""

    seconds: float
    until: float | None = None
    evaluation_seconds: float = 60.0


class Evolution:
    """The budget counts from the first version that is published and served, so that a start costs
    nothing of it; while a role dies again and again it counts as well."""

    def __init__(
        self,
        folder: RunFolder,
        recipe: Recipe,
        bus: Bus,
        watch: Watch,
        budget: Budget,
        told: Interrupts,
    ) -> None:
        self._folder = folder
        self._recipe = recipe
        self._bus = bus
        self._watch = watch
        self._budget = budget
        self._told = told
        self._first_version = watch.heads["weights", 0]
        self._began = time.monotonic()
        self.deaths = Deaths(folder.logs, watch.answered)
        self._served = Served()
        self._supervisor = self._supervise(layout(recipe))
        self.restarts = 0
        watch.outlets.meter.beside.append(self._processes)
        self.warming: dict[str, int] = {}

    async def run(self, console: Console) -> None:
        """Evolve before the eyes of whoever looks at `console`, to a clean stop. Raises
        `UsageError` and `CannotGoOn`."""
        watching = asyncio.create_task(self._watch.watch_disk())
        try:
            await self._watched(console)
        finally:
            watching.cancel()

    async def _watched(self, console: Console) -> None:
        with LiveView(self._watch.progress, console) as view:
            await self._supervised(view, self._learn)
            await self._show(view, "stopping")
            if not self._told.asked.is_set() and not self._is_evaluated():
                # The evaluator shared the trainer's process and ended with it.
                self._supervisor = self._supervise(((MEASURES,),))
                await self._supervised(view, self._evaluate)
                await self._show(view, "stopping")

    def _supervise(self, groups: tuple[tuple[str, ...], ...]) -> Supervisor:
        return Supervisor(
            self._folder.path, groups, self._watch.position, self.deaths, self._served.swapped
        )

    def _processes(self) -> Iterator[Point]:
        for child in self._supervisor.children:
            agent = "+".join(child.roles)
            yield point("evolvent.process.up", int(child.pid is not None), agent=agent)
            yield point("evolvent.restarts", child.restarts, agent=agent)
        yield from self._served.points()

    async def _supervised(
        self, view: LiveView, work: Callable[[LiveView], Awaitable[None]]
    ) -> None:
        """Do `work` while the processes are kept alive, then stop them."""
        try:
            async with asyncio.TaskGroup() as group:
                supervising = group.create_task(self._supervisor.run())
                await work(view)
                self._supervisor.stop()
                while not supervising.done():
                    if self._told.hurried.is_set():
                        self._supervisor.kill()
                    await self._show(view, "stopping")
                    await asyncio.wait({supervising}, timeout=_TICK_SECONDS)
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        finally:
            self.restarts += sum(child.restarts for child in self._supervisor.children)

    async def _show(self, view: LiveView, phase: str, left: float | None = None) -> None:
        """What the log and the processes say now."""
        await self._watch.look()
        self._watch.outlets.notifier.see(
            self._watch.position(),
            self.restarts + sum(child.restarts for child in self._supervisor.children),
            next(map(str, reversed(self.deaths.last.values())), ""),
        )
        said = phase if self._watch.answers else f"{phase}: the log does not answer"
        self._watch.show(view, self._activity(said, left))

    async def _evolve(self, view: LiveView) -> None:
        """Until the budget is used up, a guard ends it or a person interrupts."""
        deadline: float | None = None
        lost, before = 0.0, time.monotonic()
        while not self._told.asked.is_set():
            controls = self._watch.progress.controls
            if controls.is_stopped(ALL):
                self._told.asked.set()
            if controls.warned is not None and controls.warned.command == "stop":
                return
            now = time.monotonic()
            if deadline is None and self._evolving():
                deadline = now + self._budget.seconds - lost
            if deadline is None and self.deaths.looping():
                lost += now - before
            before = now
            left = None if deadline is None else deadline - now
            if (left is not None and left <= 0) or lost >= self._budget.seconds or self._reached():
                return
            phase = "evolving" if deadline else "starting"
            await self._show(
                view, "waiting for room" if self._watch.waits_for_room else phase, left
            )
            await asyncio.sleep(_TICK_SECONDS)

    def _evolving(self) -> bool:
        """Whether the trainer has published since the start, and an engine serves."""
        if self._watch.waits_for_room:
            return True
        published = self._watch.heads["weights", 0] > self._first_version
        return published and any(child.swap for child in self._supervisor.children)

    def _reached(self) -> bool:
        progress, until = self._watch.progress, self._budget.until
        newest = progress.newest_evaluation
        if until is None or newest is None:
            return False
        reached = progress.held_out_levels.held_out(newest)
        return reached is not None and reached >= until

    async def _learn(self, view: LiveView) -> None:
        """Evolve; let the trainer end its batch, then have the last version evaluated."""
        await self._evolve(view)
        if self._told.asked.is_set():
            return
        self._supervisor.stop(LEARNS)
        for child in self._supervisor.children:
            while LEARNS in child.roles and child.pid and not self._told.asked.is_set():
                await self._show(view, "finishing the last batch")
                await asyncio.sleep(_TICK_SECONDS)
        if any(MEASURES in child.roles for child in self._supervisor.children if child.pid):
            await self._evaluate(view)

    def _is_evaluated(self) -> bool:
        """Whether the last version is, or never will be."""
        progress = self._watch.progress
        newest, evaluated, controls = progress.newest, progress.newest_evaluation, progress.controls
        if newest is None or MEASURES not in services(self._recipe):
            return True
        if controls.is_paused(MEASURES) or controls.is_stopped(MEASURES):
            return True
        if any(MEASURES in self._beside(one.roles) for one in self.deaths.looping()):
            return True
        return evaluated is not None and evaluated.weights_version == newest.number

    def _beside(self, roles: set[str]) -> set[str]:
        """The roles that die with these."""
        beside = [{*child.roles} for child in self._supervisor.children]
        return set().union(*(each for each in beside if each & roles))

    async def _evaluate(self, view: LiveView) -> None:
        await self._show(view, "evaluating the last version")
        newest = self._watch.progress.newest
        if newest is None or self._is_evaluated():
            return
        request = Control(
            id=derive_id(self._folder.run_id, "evolvent", "evaluate", newest.number),
            run=self._folder.run_id,
            agent="evolvent",
            command="evaluate",
            role=MEASURES,
            weights_version=newest.number,
        )
        with saying(request):
            await self._bus.publish([request])
        deadline = time.monotonic() + self._budget.evaluation_seconds
        while time.monotonic() < deadline and not self._told.asked.is_set():
            await self._show(view, "evaluating the last version")
            if self._is_evaluated():
                return
            await asyncio.sleep(_TICK_SECONDS)

    def _activity(self, phase: str, left: float | None = None) -> Activity:
        children = self._supervisor.children
        fraction = None if left is None else 1 - left / self._budget.seconds
        warming = next((child.progress for child in children if "phase" in child.said), None)
        if warming is not None and self._watch.heads["weights", 0] == 0:
            self.warming = warming
            fraction = warming["done"] / warming["total"]
            said = f"{warming['phase']} {warming['done']}/{warming['total']}"
            given_up = f"{phase}: {said} (Ctrl-C once more gives it up)"
            phase = said if phase == "starting" else given_up
        elif phase == "starting":
            phase = f"{self._starting(children)}, {time.monotonic() - self._began:.0f} s"
        swaps = [child.swap for child in children if child.swap]
        return Activity(
            phase=phase,
            fraction=fraction,
            seconds_left=left,
            processes=tuple(_state(child) for child in children),
            served={child.name: child.swap["to_version"] for child in children if child.swap},
            swap_pause_ms=max((swap["pause_ms"] for swap in swaps), default=None),
            disk=self._watch.disk,
            crashes=tuple(map(str, self.deaths.last.values())),
        )

    def _starting(self, children: list[Child]) -> str:
        if not self._watch.heads["weights", 0] or any(child.swap for child in children):
            return "starting"
        newest = self._watch.progress.newest
        return f"loading version {newest.number if newest else 0} into the engines"


def _state(child: Child) -> ProcessState:
    return ProcessState(
        name=child.name, pid=child.pid, restarts=child.restarts, last_line=child.doing
    )
