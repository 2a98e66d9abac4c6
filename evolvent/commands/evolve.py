"""Commands that make a run go on, here or elsewhere."""

import asyncio
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from evolvent.commands.options import (
    BusUrl,
    Dir,
    InArchive,
    Plugins,
    RecipeName,
    Run,
    Set,
    Trace,
    begun,
    folder_and_recipe,
    run_folder,
    seconds_of,
    terminal,
)
from evolvent.output import undisturbed
from evolvent.roles import NAMES
from evolvent.watching.beside import listening
from evolvent.watching.metrics import Metrics, metered

if TYPE_CHECKING:
    from rich.console import Console

    from evolvent.recipe.recipe import Recipe
    from evolvent.run.folder import RunFolder
    from evolvent.run.interrupts import Interrupts
    from evolvent.run.start import Outcome
    from evolvent.watching.beside import Shown
    from observability.metrics.meter import Meter

_NOT_RUN = (
    "the folder names a notify.command, which is not run for that: name it again with --set "
    "notify.command=[...]"
)


def run(  # noqa: PLR0913, PLR0917 - each is an option of the command
    recipe: RecipeName = None,
    directory: Dir = None,
    budget: Annotated[
        str | None, typer.Option(help="How long to evolve: 90s, 5m, 2h. [default: the recipe's]")
    ] = None,
    until: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, help="Stop as soon as held-out accuracy reaches this."),
    ] = None,
    bus: BusUrl = None,
    settings: Set = None,
    plugins: Plugins = None,
    metrics: Metrics = None,
    trace: Trace = None,
    dashboard: Annotated[
        int | None,
        typer.Option(min=0, max=65535, metavar="PORT", help="Show it in a browser at this port."),
    ] = None,
) -> None:
    """Evolve a model. The same folder goes on where it stopped; Ctrl-C stops cleanly."""
    from evolvent.run.interrupts import Interrupts
    from evolvent.watching.observed import asked_for

    asked_for()
    seconds = None if budget is None else seconds_of("--budget", budget)
    with (
        undisturbed(),
        metered(metrics) as meter,
        listening(dashboard) as shown,
        Interrupts() as told,
    ):
        try:
            outcome = _run(recipe, directory, settings, bus, seconds, until, told, meter, shown)
        except KeyboardInterrupt:
            print("evolvent: interrupted before anything was begun", file=sys.stderr)
            raise typer.Exit(130) from None
    if outcome.failed:
        print(f"evolvent: {outcome.failed}", file=sys.stderr)
        raise typer.Exit(1)


def _run(
    recipe: str | None,
    directory: Path | None,
    settings: list[str] | None,
    bus: str | None,
    seconds: float | None,
    until: float | None,
    told: "Interrupts",
    meter: "Meter",
    shown: "Shown[Outcome]",
) -> "Outcome":
    console = terminal(told.ask)
    with begun(console, "reading the recipe"):
        from evolvent.run.evolution import Budget
        from evolvent.run.log import prepare
        from evolvent.run.start import start

        folder, named = folder_and_recipe(recipe, directory, settings, bus)
    _check_first(folder, named, console)
    with folder.locked():
        with begun(console, f"opening {folder.path}"):
            stored = folder.recipe().notify.command if folder.exists else ()
            wanted = prepare(folder, named)
        if stored and not wanted.notify.command:
            print(f"evolvent: {_NOT_RUN}", file=sys.stderr)
        limits = Budget(seconds=seconds or wanted.run.budget_seconds, until=until)
        return asyncio.run(shown(folder.path, start(folder, wanted, limits, console, told, meter)))


def agent(
    role: Annotated[str, typer.Argument(help=f"{', '.join(NAMES)}, or one of a plug-in.")],
    config: Annotated[
        str | None, typer.Option("--config", "--recipe", help="A recipe's TOML file or name.")
    ] = None,
    directory: Dir = None,
    name: Annotated[
        str | None,
        typer.Option(help="A name that stays takes over at once. [default: ROLE-HOST-PID]"),
    ] = None,
    bus: BusUrl = None,
    settings: Set = None,
    plugins: Plugins = None,
    metrics: Metrics = None,
    trace: Trace = None,
) -> None:
    """Serve one role of a run, on any machine, until SIGTERM or Ctrl-C."""
    from evolvent.agent import run_agent
    from evolvent.watching.observed import asked_for

    asked_for()
    folder, wanted = folder_and_recipe(config, directory, settings, bus)
    with metered(metrics) as meter:
        code = run_agent(role, folder, wanted, name, meter, begins=config is not None)
    if code:
        raise typer.Exit(code)


def seed(
    recipe: RecipeName = None,
    directory: Dir = None,
    bus: BusUrl = None,
    settings: Set = None,
    plugins: Plugins = None,
) -> None:
    """Make a run's seed model (version 0) and stop; `evolvent run` goes on from there."""
    from evolvent.run.log import prepare
    from evolvent.run.seed import make_version_0, maker

    folder, named = folder_and_recipe(recipe, directory, settings, bus)
    made_by = maker(prepare(folder, named)).name
    _check_first(folder, named, terminal(stderr=True), roles=[made_by])
    with folder.locked():
        wanted = prepare(folder, named)
        try:
            with begun(terminal(stderr=True), "loading what makes version 0") as show:
                weights = asyncio.run(make_version_0(folder, wanted, show))
        except KeyboardInterrupt:
            said = "interrupted: what is not finished of version 0 is lost and begins again"
            print(f"\nevolvent: {said}", file=sys.stderr, flush=True)
            # Its thread computes on to the end of the warm-up.
            os._exit(130)
    print(folder.path / weights.location)


def copy(
    source: Annotated[Path, typer.Argument(help="Folder of the run, which stays as it is.")],
    target: Annotated[Path, typer.Argument(help="Folder of the copy; no run, or half copied.")],
    bus: Annotated[
        str, typer.Option(help="Its bus: sqlite, or kafka://host:port[,host:port...][/NAME].")
    ] = "sqlite",
    archive: InArchive = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Set a field of its bus: bus.field=value.")
    ] = None,
) -> None:
    """Copy a run with all it has to another folder and bus, where it can go on."""
    from rich.progress import Progress

    from evolvent.run.copy import copy_run

    console, folder = terminal(), run_folder(source, archive)
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task("", total=None)

        def show(what: str, done: int, whole: int) -> None:
            bar.update(task, description=what, completed=done, total=whole)

        copied = asyncio.run(copy_run(folder, target, bus, settings or [], show))
    if place := folder.settings.get("retention", {}).get("archive"):
        print(
            f"{source} and {target} have their archive at {place}: go on with one of them alone, "
            "or give it another with --set retention.archive=DIR"
        )
    console.print(
        f"{copied.checkpoints:,} checkpoints, {copied.events:,} events and the cursors of "
        f"{copied.groups} groups are in {target} and {copied.place}.\nGo on with: "
        f"evolvent run --dir {shlex.quote(str(target))}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


def upgrade(run: Run) -> None:
    """Bring the log of a run up to date, which an older evolvent made; again, if it was killed."""
    from evolvent.run.upgrade import upgrade_run
    from observability.terminal.steps import told

    with told() as show:
        done = asyncio.run(upgrade_run(run, show))
    print(f"{run}: the log is {'upgraded' if done else 'up to date, there is nothing to do'}")


def _check_first(
    folder: "RunFolder",
    named: "Recipe | None",
    console: "Console",
    roles: Sequence[str] | None = None,
) -> None:
    """Before anything is written; `roles` are those that will be here, None for all. Raises
    `UsageError`."""
    with begun(console, "checking the recipe") as show:
        from evolvent.preflight.preflight import check
        from evolvent.run.log import prepare

        check(folder.path, prepare(folder, named), show, roles=roles)
