"""The main job: one start of a run, from the first process to the summary.

create or open -> check -> processes up -> evolve until the budget ends or Ctrl-C
    -> trainer stops -> last version evaluated -> processes stop -> report, summary
"""

import asyncio
import shlex
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from bus.bus import Bus
from bus.events import Control, derive_id
from evolvent.errors import UsageError
from evolvent.recipe import Recipe
from evolvent.run_folder import RunFolder
from evolvent.supervisor import Child, Supervisor
from observability.live import Activity, LiveView, ProcessState
from observability.progress import Progress
from observability.summary import summary
from trainer.manifest import checkpoint_folders, read_manifest

_TICK_SECONDS = 0.25
_LAST_EVALUATION_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How long to evolve, and the held-out accuracy that ends it sooner."""

    seconds: float
    until: float | None = None


class Start:
    """One start of a run. The budget counts from the first version that is
    published and served, so that a start costs nothing of it."""

    def __init__(self, folder: RunFolder, bus: Bus, budget: Budget) -> None:
        self._folder = folder
        self._recipe = folder.recipe()
        self._bus = bus
        self._budget = budget
        self._progress = Progress(bus)
        self._supervisor = self._supervise(self._recipe.run.processes)
        self.restarts = 0
        self._interrupted = asyncio.Event()
        self._first_version = bus.heads()["weights", 0]

    async def run(self, console: Console) -> None:
        """Evolve before the eyes of whoever looks at `console`, to a clean stop."""
        await self._bus.publish([self._started()])
        with LiveView(self._progress, console) as view, self._interruptible():
            await self._supervised(view, self._learn)
            if not self._interrupted.is_set() and not self._is_evaluated():
                # The evaluator shared the trainer's process and ended with it.
                self._supervisor = self._supervise((("evaluator",),))
                await self._supervised(view, self._evaluate)
        self._progress.refresh()

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
                    view.update(self._activity("stopping"))
                    await asyncio.wait({supervising}, timeout=_TICK_SECONDS)
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        self.restarts += sum(child.restarts for child in self._supervisor.children)

    @property
    def progress(self) -> Progress:
        return self._progress

    def _position(self) -> int:
        return sum(self._bus.heads().values())

    def _started(self) -> Control:
        number = self._bus.heads()["control", 0]
        return Control(
            id=derive_id(self._folder.run_id, "evolvent", "start", number),
            run=self._folder.run_id,
            agent="evolvent",
            command="start",
            seed=self._recipe.seed,
            settings=self._recipe.model_dump(mode="json"),
        )

    async def _evolve(self, view: LiveView) -> None:
        """Until the budget is used up or a person interrupts."""
        deadline: float | None = None
        while not self._interrupted.is_set():
            if deadline is None and self._evolving():
                deadline = time.monotonic() + self._budget.seconds
            left = None if deadline is None else deadline - time.monotonic()
            if (left is not None and left <= 0) or self._reached():
                return
            view.update(self._activity("evolving" if deadline else "starting", left))
            await asyncio.sleep(_TICK_SECONDS)

    def _evolving(self) -> bool:
        """Whether the trainer has published since the start, and an engine serves."""
        published = self._bus.heads()["weights", 0] > self._first_version
        return published and any(child.swap for child in self._supervisor.children)

    def _reached(self) -> bool:
        newest = self._progress.newest_evaluation
        until = self._budget.until
        return until is not None and newest is not None and newest.held_out >= until

    async def _learn(self, view: LiveView) -> None:
        """Evolve; let the trainer end its batch, then have the last version evaluated."""
        await self._evolve(view)
        if self._interrupted.is_set():
            return
        self._supervisor.stop("trainer")
        for child in self._supervisor.children:
            while "trainer" in child.roles and child.pid:
                view.update(self._activity("finishing the last batch"))
                await asyncio.sleep(_TICK_SECONDS)
        if any("evaluator" in child.roles for child in self._supervisor.children if child.pid):
            await self._evaluate(view)

    def _is_evaluated(self) -> bool:
        """Whether the last version is; so is a run without one."""
        self._progress.refresh()
        newest, head = self._progress.newest_evaluation, self._bus.heads()["weights", 0] - 1
        return head < 0 or (newest is not None and newest.weights_version == head)

    async def _evaluate(self, view: LiveView) -> None:
        head = self._bus.heads()["weights", 0] - 1
        if head < 0:
            return
        request = Control(
            id=derive_id(self._folder.run_id, "evolvent", "evaluate", head),
            run=self._folder.run_id,
            agent="evolvent",
            command="evaluate",
            role="evaluator",
            weights_version=head,
        )
        await self._bus.publish([request])
        deadline = time.monotonic() + _LAST_EVALUATION_SECONDS
        while time.monotonic() < deadline and not self._interrupted.is_set():
            view.update(self._activity("evaluating the last version"))
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
        )

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """The first Ctrl-C stops in order; a second one is the shell's own."""
        loop = asyncio.get_running_loop()

        def interrupt() -> None:
            loop.remove_signal_handler(signal.SIGINT)
            self._interrupted.set()

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, interrupt)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)


def _state(child: Child) -> ProcessState:
    return ProcessState(
        name=child.name,
        pid=child.pid,
        restarts=child.restarts,
        last_line=str(child.said.get("say", "")),
    )


def prepare(folder: RunFolder, recipe: Recipe | None) -> Recipe:
    """A new folder for `recipe`, or the old one if it was started with the same."""
    if not folder.exists:
        if recipe is None:
            raise UsageError(f"{folder.path} is not a run: name a recipe to start one there")
        folder.create(recipe)
        return recipe
    stored = folder.recipe()
    if recipe is not None and recipe.digest != stored.digest:
        raise UsageError(
            f"{folder.path} was started with another recipe or other settings "
            f"({stored.name}, seed {stored.seed}): choose another --dir, or go on with "
            f"`evolvent run --dir {folder.path}`"
        )
    return stored


def check_log(folder: RunFolder, bus: Bus) -> None:
    """Refuse a log that is behind its checkpoints; nothing is repaired silently."""
    manifests = [read_manifest(path) for path in list(checkpoint_folders(folder.path))[-1:]]
    heads = bus.heads()
    for manifest in manifests:
        if manifest.version > heads["weights", 0]:
            raise UsageError(
                f"{folder.path}/log.sqlite went back: it ends before version "
                f"{heads['weights', 0]}, the checkpoints at version {manifest.version}; restore it"
            )
        for consumed in manifest.consumed:
            if consumed.offset >= heads[consumed.topic, consumed.partition]:
                raise UsageError(
                    f"{folder.path}/log.sqlite is cut: {consumed.topic} ends before a record "
                    f"that version {manifest.version} was trained on; restore it"
                )


def _program() -> str:
    """What to type to start this program again, from the folder it was started in."""
    program = Path(sys.argv[0]).resolve()
    inside = program.is_relative_to(Path.cwd()) and program.name == "evolvent"
    return str(program.relative_to(Path.cwd())) if inside else "evolvent"


async def start(folder: RunFolder, budget: Budget, console: Console) -> Path | None:
    """One start of the run in `folder`, which is locked by the caller; the report's page."""
    from observability.report import write_report

    async with folder.log(writable=True) as bus:
        check_log(folder, bus)
        job = Start(folder, bus, budget)
        await job.run(console)
        report = None
        if bus.heads()["weights", 0] > 0:
            with console.status("drawing the report"):
                report = await asyncio.to_thread(write_report, bus, folder.path)
        go_on = f"{_program()} run --dir {shlex.quote(str(folder.path))}"
        console.print(summary(job.progress, restarts=job.restarts, report=report, go_on=go_on))
    return report
