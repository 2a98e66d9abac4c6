"""`evolvent replay` and `evolvent fork`: what a run was, what its log would have become by other
settings, and a new run from there on. Nothing of that changes in the run.
"""

import asyncio
import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from evolvent.commands.options import (
    AsJson,
    BusUrl,
    InArchive,
    Plugins,
    RecipeName,
    Run,
    Set,
    check_folder,
    display,
    on_log,
    run_folder,
)
from evolvent.errors import UsageError

if TYPE_CHECKING:
    from bus.log import Log
    from observability.replay.state import State

app = typer.Typer(
    name="replay",
    help="What a run was, and what its log would have become by other settings.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command()
def observe(
    run: Run,
    at: Annotated[
        str,
        typer.Option(
            metavar="POSITION",
            help="A version, the id of an event, a time, or where partitions end (tasks/0=12,…).",
        ),
    ] = "end",
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Read the log from its beginning, not from a snapshot.")
    ] = False,
    archive: InArchive = None,
    as_json: AsJson = False,
) -> None:
    """The state of every agent at a position: its digest, what was open, queued and served."""
    from observability.replay import shown
    from observability.replay.observe import observe as observed
    from observability.replay.position import UnknownPosition, position
    from observability.replay.snapshots import Snapshots
    from observability.terminal.steps import told

    def say(sentence: str) -> None:
        print(f"evolvent: {sentence}", file=sys.stderr)

    folder = run_folder(run, archive)
    snapshots = Snapshots(folder.replay, folder.run_id, say)
    with told() as show:

        def look(log: "Log") -> "State":
            return observed(log, position(log, at), snapshots, fresh=fresh, show=show)

        try:
            state = on_log(folder, look)
        except UnknownPosition as error:
            raise UsageError(str(error)) from None
    print(json.dumps(shown.as_json(state)) if as_json else shown.as_text(state))


@app.command()
def rejudge(
    run: Run,
    judge: Annotated[
        str | None, typer.Option(metavar="TYPE", help="Another judge. [default: the run's own]")
    ] = None,
    settings: Set = None,
    recipe: RecipeName = None,
    out: Annotated[
        Path | None, typer.Option(help="A new folder for every verdict, and what follows.")
    ] = None,
    archive: InArchive = None,
    plugins: Plugins = None,
    as_json: AsJson = False,
) -> None:
    """The recorded attempts through another judge, filter or limit of staleness: what differs."""
    from evolvent.replay.otherwise import Settings
    from evolvent.replay.rejudge import rejudge as judged_again
    from evolvent.replay.rejudge import rejudged_by
    from evolvent.replay.shown import differences_shown
    from evolvent.watching.observed import replayed
    from observability.terminal.steps import told

    folder = run_folder(run, archive)
    wanted = rejudged_by(folder, judge, Settings(recipe=recipe, overrides=settings or []))
    if out is not None:
        check_folder(out)
    with replayed(folder.run_id), told() as show:
        found = asyncio.run(judged_again(folder, wanted, out, show))
    display(as_json, found, lambda: differences_shown(found))


@app.command()
def retrain(  # noqa: PLR0913, PLR0917 - each is an option of the command
    run: Run,
    until: Annotated[int, typer.Option(min=1, help="The last version to make again.")],
    first: Annotated[
        int | None, typer.Option("--from", min=0, help="Version to go on from. [default: 0]")
    ] = None,
    start: Annotated[
        str | None, typer.Option(metavar="new", help="Begin with a new version 0 instead.")
    ] = None,
    settings: Set = None,
    recipe: RecipeName = None,
    out: Annotated[Path | None, typer.Option(help="A new folder where the versions stay.")] = None,
    archive: InArchive = None,
    plugins: Plugins = None,
    as_json: AsJson = False,
) -> None:
    """Train again from the recorded judgments, by the same settings or others, and compare."""
    from evolvent.replay.otherwise import Settings
    from evolvent.replay.shown import retrained_shown
    from evolvent.replay.versions import Range, retrained_by
    from evolvent.watching.observed import replayed
    from observability.terminal.steps import told

    if start not in (None, "new"):
        raise UsageError(f"--start {start}: there is new, and without it a version of the run")
    if start is not None and first is not None:
        raise UsageError("--start new begins with another version 0: leave out --from")
    if (first or 0) >= until:
        raise UsageError(f"--from {first} must lie below --until {until}")
    folder = run_folder(run, archive)
    if out is not None:
        check_folder(out)
    try:
        from evolvent.replay.retrain import retrain as trained_again
    except ModuleNotFoundError as error:
        raise UsageError(
            f"training needs the extra `local` ({error}): install it with `uv sync --extra local`"
        ) from None
    versions = Range(until=until, first=first or 0, anew=start is not None)
    wanted = retrained_by(folder, Settings(recipe=recipe, overrides=settings or []), versions)
    with replayed(folder.run_id), told() as show:
        found = asyncio.run(trained_again(folder, wanted, versions, out, show))
    display(as_json, found, lambda: retrained_shown(found))


def fork(
    run: Run,
    at: Annotated[
        str,
        typer.Option(
            metavar="VERSION|POSITION",
            help="A version, an event's id, a time, end, or offsets as in tasks/0=12,weights/0=3.",
        ),
    ],
    directory: Annotated[Path, typer.Option("--dir", help="Folder of the new run.")],
    recipe: RecipeName = None,
    bus: BusUrl = None,
    settings: Set = None,
    archive: InArchive = None,
    plugins: Plugins = None,
) -> None:
    """Make a new run that begins as this one was at a position. This one is only read."""
    from evolvent.replay.fork import Wish, fork_run
    from observability.terminal.steps import told

    wish = Wish(at=at, recipe=recipe, bus=bus, settings=settings or [])
    with told() as show:
        made = asyncio.run(fork_run(run_folder(run, archive), directory, wish, show))
    version = made.parent.version
    begun = "before version 0" if version is None else f"at version {version}"
    print(
        f"{directory} is the run {made.run}, forked from {made.parent.run} {begun}: "
        f"{made.copied.checkpoints:,} checkpoints and {made.copied.events:,} events, in "
        f"{made.copied.place}."
    )
    if made.fresh:
        numbers = " and ".join(map(str, made.fresh))
        print(
            f"What training resumes from was gone at version {numbers}: it goes on from the "
            "weights with a fresh optimiser."
        )
    print(f"Go on with: evolvent run --dir {shlex.quote(str(directory))}")
