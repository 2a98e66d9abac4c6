"""The main job: one start of a run, from the first process to the summary.

create or open -> check -> processes up -> evolve until the budget ends or Ctrl-C
    -> trainer stops -> last version evaluated -> processes stop -> report, summary
"""

import asyncio
import shlex
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from rich.console import Console

from bus.bus import Bus
from bus.control import ALL
from bus.errors import Unreachable
from bus.events import Control, derive_id
from evolvent.errors import UsageError
from evolvent.plugins import named
from evolvent.process import log_to_file, until_told
from evolvent.recipe.recipe import Recipe
from evolvent.roles import layout, services
from evolvent.run.folder import RunFolder
from evolvent.run.log import opened, started
from evolvent.run.supervisor import Child, Supervisor
from observability.progress.disk import Disk, DiskWatch
from observability.progress.progress import Progress
from observability.terminal.live import Activity, LiveView, ProcessState
from observability.terminal.summary import summary

_LEARNS, _MEASURES = "trainer", "evaluator"
"""Whom the end of a run waits for."""

_TICK_SECONDS = 0.25
_ANSWER_SECONDS = 2.0
_LAST_EVALUATION_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How long to evolve, and the held-out accuracy that ends it sooner."""

    seconds: float
    until: float | None = None


class Start:
    """One start of a run. The budget counts from the first version that is
    published and served, so that a start costs nothing of it."""

    def __init__(
        self, folder: RunFolder, bus: Bus, heads: dict[tuple[str, int], int], budget: Budget
    ) -> None:
        self._folder = folder
        self._recipe = folder.recipe()
        self._heads = heads
        self._reading = Lock()
        self._asking: asyncio.Task[dict[tuple[str, int], int]] | None = None
        self._bus = bus
        self._budget = budget
        self._services = tuple(services(self._recipe))
        self._progress = Progress(bus.log, self._services)
        self._supervisor = self._supervise(layout(self._recipe))
        self.restarts = 0
        self.answers = True
        self._interrupted = asyncio.Event()
        self._first_version = self._heads["weights", 0]
        self._watch = DiskWatch(folder.path, self._recipe.disk.reserve)
        self.disk: Disk | None = None

    async def run(self, console: Console) -> None:
        """Evolve before the eyes of whoever looks at `console`, to a clean stop."""
        await self._bus.publish([started(self._folder, self._recipe, self._heads["control", 0])])
        watching = asyncio.create_task(self._watch_disk())
        with LiveView(self._progress, console) as view, until_told(self._interrupted):
            await self._supervised(view, self._learn)
            await self._show(view, "stopping")
            if not self._interrupted.is_set() and not self._is_evaluated():
                # The evaluator shared the trainer's process and ended with it.
                self._supervisor = self._supervise(((_MEASURES,),))
                await self._supervised(view, self._evaluate)
                await self._show(view, "stopping")
        watching.cancel()
        if self._asking is not None:
            self._asking.cancel()

    async def _watch_disk(self) -> None:
        while True:
            with suppress(OSError):
                self.disk = await asyncio.to_thread(self._watch.look)
            await asyncio.sleep(self._watch.pause_seconds)

    def _supervise(self, groups: tuple[tuple[str, ...], ...]) -> Supervisor:
        return Supervisor(self._folder.path, groups, self._position)

    async def _supervised(
        self, view: LiveView, work: Callable[[LiveView], Awaitable[None]]
    ) -> None:
        """Do `work` while the processes are kept alive, then stop them. Raises `UsageError`."""
        try:
            async with asyncio.TaskGroup() as group:
                supervising = group.create_task(self._supervisor.run())
                await work(view)
                self._supervisor.stop()
                while not supervising.done():
                    await self._show(view, "stopping")
                    await asyncio.wait({supervising}, timeout=_TICK_SECONDS)
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        self.restarts += sum(child.restarts for child in self._supervisor.children)

    @property
    def progress(self) -> Progress:
        return self._progress

    def _position(self) -> int:
        return sum(self._heads.values())

    async def _show(self, view: LiveView, phase: str, left: float | None = None) -> None:
        """What the log says now. While its broker is away, screen and Ctrl-C go on."""
        if self._asking is None:
            self._asking = asyncio.create_task(asyncio.to_thread(self._look))
        await asyncio.wait({self._asking}, timeout=_ANSWER_SECONDS)
        self.answers = False
        if self._asking.done():
            asked, self._asking = self._asking, None
            with suppress(Unreachable):
                self._heads = asked.result()
                self.answers = True
        # What is being read just now cannot be shown.
        if self._reading.acquire(blocking=False):
            said = phase if self.answers else f"{phase}: the log does not answer"
            view.show(self._activity(said, left))
            self._reading.release()

    def _look(self) -> dict[tuple[str, int], int]:
        """Ask first: what does not answer keeps nobody from looking at what is known."""
        heads = self._bus.log.heads()
        with self._reading:
            self._progress.refresh()
        return heads

    async def _evolve(self, view: LiveView) -> None:
        """Until the budget is used up or a person interrupts."""
        deadline: float | None = None
        while not self._interrupted.is_set():
            if self._progress.controls.is_stopped(ALL):
                self._interrupted.set()
            if deadline is None and self._evolving():
                deadline = time.monotonic() + self._budget.seconds
            left = None if deadline is None else deadline - time.monotonic()
            if (left is not None and left <= 0) or self._reached():
                return
            phase = "evolving" if deadline else "starting"
            await self._show(view, "waiting for room" if self._waits_for_room else phase, left)
            await asyncio.sleep(_TICK_SECONDS)

    def _evolving(self) -> bool:
        """Whether the trainer has published since the start, and an engine serves."""
        if self._waits_for_room:
            return True
        published = self._heads["weights", 0] > self._first_version
        return published and any(child.swap for child in self._supervisor.children)

    @property
    def _waits_for_room(self) -> bool:
        return self.disk is not None and self.disk.is_low

    def _reached(self) -> bool:
        newest = self._progress.newest_evaluation
        until = self._budget.until
        if until is None or newest is None:
            return False
        reached = self._progress.held_out_levels.held_out(newest)
        return reached is not None and reached >= until

    async def _learn(self, view: LiveView) -> None:
        """Evolve; let the trainer end its batch, then have the last version evaluated."""
        await self._evolve(view)
        if self._interrupted.is_set():
            return
        self._supervisor.stop(_LEARNS)
        for child in self._supervisor.children:
            while _LEARNS in child.roles and child.pid:
                await self._show(view, "finishing the last batch")
                await asyncio.sleep(_TICK_SECONDS)
        if any(_MEASURES in child.roles for child in self._supervisor.children if child.pid):
            await self._evaluate(view)

    def _is_evaluated(self) -> bool:
        """Whether the last version is, or never will be."""
        newest, evaluated = self._progress.newest, self._progress.newest_evaluation
        controls = self._progress.controls
        if newest is None or _MEASURES not in self._services:
            return True
        if controls.is_paused(_MEASURES) or controls.is_stopped(_MEASURES):
            return True
        return evaluated is not None and evaluated.weights_version == newest.number

    async def _evaluate(self, view: LiveView) -> None:
        await self._show(view, "evaluating the last version")
        newest = self._progress.newest
        if newest is None or self._is_evaluated():
            return
        request = Control(
            id=derive_id(self._folder.run_id, "evolvent", "evaluate", newest.number),
            run=self._folder.run_id,
            agent="evolvent",
            command="evaluate",
            role=_MEASURES,
            weights_version=newest.number,
        )
        await self._bus.publish([request])
        deadline = time.monotonic() + _LAST_EVALUATION_SECONDS
        while time.monotonic() < deadline and not self._interrupted.is_set():
            await self._show(view, "evaluating the last version")
            if self._is_evaluated():
                return
            await asyncio.sleep(_TICK_SECONDS)

    def _activity(self, phase: str, left: float | None = None) -> Activity:
        children = self._supervisor.children
        fraction = None if left is None else 1 - left / self._budget.seconds
        warming = next((child.said for child in children if "phase" in child.said), None)
        if phase == "starting" and warming is not None:
            fraction = warming["done"] / warming["total"]
            phase = f"{warming['phase']} {warming['done']}/{warming['total']}"
        swaps = [child.swap for child in children if child.swap]
        return Activity(
            phase=phase,
            fraction=fraction,
            seconds_left=left,
            processes=tuple(_state(child) for child in children),
            served={child.name: child.swap["to_version"] for child in children if child.swap},
            swap_pause_ms=max((swap["pause_ms"] for swap in swaps), default=None),
            disk=self.disk,
        )


def _state(child: Child) -> ProcessState:
    return ProcessState(
        name=child.name,
        pid=child.pid,
        restarts=child.restarts,
        last_line=str(child.said.get("say", "")),
    )


def _program() -> str:
    """What to type to start this program again, from the folder it was started in."""
    program = Path(sys.argv[0]).resolve()
    inside = program.is_relative_to(Path.cwd()) and program.name == "evolvent"
    return str(program.relative_to(Path.cwd())) if inside else "evolvent"


async def start(folder: RunFolder, recipe: Recipe, budget: Budget, console: Console) -> Path | None:
    """One start of the run in `folder`, which is locked by the caller; the report's page."""
    from observability.report.report import write_report

    if budget.until is not None and _MEASURES not in services(recipe):
        raise UsageError("--until needs an evaluator, which this recipe leaves out")
    async with opened(folder, recipe) as bus:
        log_to_file(folder.logs / "evolvent.log")
        job = Start(folder, bus, await asyncio.to_thread(bus.log.heads), budget)
        await job.run(console)
        go_on = shlex.join([_program(), "run", "--dir", str(folder.path), *named()])
        if not job.answers:
            raise UsageError(
                f"{recipe.bus.place(folder.path)} does not answer: the run has stopped without its "
                f"report; once it answers go on with `{go_on}`"
            )
        report = None
        if job.progress.newest is not None:
            with console.status("drawing the report"):
                report = await asyncio.to_thread(write_report, bus.log, folder.path)
        console.print(
            summary(job.progress, restarts=job.restarts, disk=job.disk, report=report, go_on=go_on)
        )
    return report
