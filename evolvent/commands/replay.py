"""`evolvent replay`: what a log would have become by other settings. Nothing in the run changes."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from evolvent.commands.options import (
    AsJson,
    InArchive,
    Plugins,
    RecipeName,
    Run,
    Set,
    check_folder,
    display,
    run_folder,
)

app = typer.Typer(
    name="replay",
    help="What a run was, and what its log would have become by other settings.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


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
    from observability.terminal.steps import told

    folder = run_folder(run, archive)
    wanted = rejudged_by(folder, judge, Settings(recipe=recipe, overrides=settings or []))
    if out is not None:
        check_folder(out)
    with told() as show:
        found = asyncio.run(judged_again(folder, wanted, out, show))
    display(as_json, found, lambda: differences_shown(found))
