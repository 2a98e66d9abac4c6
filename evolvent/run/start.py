"""The main job: one start of a run, from the first process to the summary.

create or open -> check -> evolve (evolution.py) -> report, summary, how to go on
"""

import asyncio
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from bus.bus import Bus
from bus.log import Log
from bus.tracing.sending import saying
from evolvent.errors import UsageError
from evolvent.plugins import named
from evolvent.process import log_to_file
from evolvent.recipe.recipe import Recipe
from evolvent.roles import services
from evolvent.run.deaths import Deaths
from evolvent.run.evolution import MEASURES, Budget, Evolution
from evolvent.run.folder import RunFolder
from evolvent.run.interrupts import Interrupts
from evolvent.run.log import opened, started
from evolvent.run.supervisor import CannotGoOn
from evolvent.run.watch import Watch
from evolvent.watching.observed import observed
from evolvent.watching.outlets import Outlets
from evolvent.watching.outlets import check as check_outlets
from observability.archive.place import ArchiveError
from observability.metrics.meter import Meter
from observability.progress.disk import DiskWatch
from observability.progress.progress import Progress
from observability.replay.forks import Fork, forks, said_of
from observability.terminal.summary import summary
from trainer.checkpoint.files import make_folder

_LAST_EVALUATION_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a start ended: the report's page, and why it came to nothing, "" where it did not."""

    report: Path | None = None
    failed: str = ""


async def start(
    folder: RunFolder,
    recipe: Recipe,
    budget: Budget,
    console: Console,
    told: Interrupts,
    meter: Meter | None = None,
) -> Outcome:
    """One start of the run in `folder`, which is locked by the caller. Raises `UsageError`, after
    the summary if anything has been evolved."""
    if budget.until is not None and MEASURES not in services(recipe):
        raise UsageError("--until needs an evaluator, which this recipe leaves out")
    check_outlets(recipe)
    async with opened(folder, recipe, console.print) as bus:
        with observed(folder.run_id, "run"):
            return await _started(folder, recipe, bus, budget, console, told, meter)


async def _started(
    folder: RunFolder,
    recipe: Recipe,
    bus: Bus,
    budget: Budget,
    console: Console,
    told: Interrupts,
    meter: Meter | None,
) -> Outcome:
    make_folder(folder.logs)
    log_to_file(folder.logs / "evolvent.log")
    told.begin()
    log = folder.whole(bus.log)
    outlets = Outlets(recipe, folder.path, folder.run_id, meter)
    watch = Watch(
        log,
        tuple(services(recipe)),
        DiskWatch(folder.path, recipe.disk.reserve(folder.path)),
        outlets,
    )
    await watch.begin()
    start_event = started(folder, folder.recipe(), watch.heads["control", 0])
    with saying(start_event):
        await bus.publish([start_event])
    # Stops that were said before the start hold no more.
    await watch.begin()
    outlets.notifier.begin()
    limits = replace(budget, evaluation_seconds=_LAST_EVALUATION_SECONDS)
    evolution = Evolution(folder, folder.recipe(), bus, watch, limits, told)
    failed = ""
    refused: UsageError | None = None
    try:
        await evolution.run(console)
    except CannotGoOn as error:
        failed = str(error)
    except UsageError as error:
        refused = error
    finally:
        watch.close()
        await asyncio.to_thread(outlets.end, failed or str(refused or ""))
    if not watch.answers:
        raise refused or _silent(folder, recipe, failed)
    report = None if refused else await _report(log, folder, watch.progress, console, told)
    if refused is None or watch.progress.newest is not None:
        console.print(
            summary(
                watch.progress,
                restarts=evolution.restarts,
                disk=watch.disk,
                report=report,
                go_on=go_on(folder.path),
                crashes=[str(death) for death in evolution.deaths.last.values()],
                notes=_notes(evolution, watch.progress, await asyncio.to_thread(forks, bus.log)),
            )
        )
    if refused is not None:
        raise refused
    failed = failed or _came_to_nothing(evolution.deaths, watch.progress)
    return Outcome(report=report, failed=failed)


async def _report(
    log: Log, folder: RunFolder, progress: Progress, console: Console, told: Interrupts
) -> Path | None:
    """The report's page, unless there is nothing to draw, or no time."""
    from observability.report.report import write_report

    if progress.newest is None or told.hurried.is_set():
        return None
    with console.status("drawing the report"):
        drawing = asyncio.ensure_future(asyncio.to_thread(write_report, log, folder.path))
        hurried = asyncio.ensure_future(told.hurried.wait())
        await asyncio.wait({drawing, hurried}, return_when=asyncio.FIRST_COMPLETED)
        hurried.cancel()
    try:
        return drawing.result() if drawing.done() else None
    except ArchiveError as error:
        console.print(f"There is no report: {error}", markup=False, highlight=False)
        return None


def _came_to_nothing(deaths: Deaths, progress: Progress) -> str:
    """Why the run has failed although it came to its end, "" where it has not."""
    if fatal := deaths.fatal():
        return f"{fatal[0]}; see {deaths.logs}"
    if progress.moves.is_broken:
        return (
            f"{progress.moves.for_nothing:,} events were learned from and every version is still "
            "version 0: its filter or update learns nothing from them, or no answer is ever right; "
            "see `evolvent status --json` (metrics)"
        )
    return ""


def _notes(evolution: Evolution, progress: Progress, past: Sequence[Fork]) -> list[str]:
    """Whose fork it is, and what a person should know who ended it early."""
    if progress.newest is not None:
        return [said_of(past)] if past else []
    warming = evolution.warming
    how_far = f" ({warming['done']} of {warming['total']} steps)" if warming else ""
    return [f"There is no version 0 yet: its warm-up{how_far} is lost and begins again."]


def _silent(folder: RunFolder, recipe: Recipe, failed: str) -> UsageError:
    before = f"{failed}; " if failed else ""
    return UsageError(
        f"{before}{recipe.bus.place(folder.path)} does not answer: the run has stopped without its "
        f"report; once it answers go on with `{go_on(folder.path)}`"
    )


def go_on(run: Path) -> str:
    """What to type to go on with a run."""
    return shlex.join([_program(), "run", "--dir", str(run), *named()])


def _program() -> str:
    """What to type to start this program again, from the folder it was started in."""
    program = Path(sys.argv[0]).resolve()
    inside = program.is_relative_to(Path.cwd()) and program.name == "evolvent"
    return str(program.relative_to(Path.cwd())) if inside else "evolvent"
