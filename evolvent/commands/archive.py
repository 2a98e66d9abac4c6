"""Commands that keep what a run has said."""

import asyncio
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from evolvent.commands.options import AsJson, Run, run_folder, seconds_of

if TYPE_CHECKING:
    from evolvent.run.archive import Archived


def archive(
    run: Run,
    directory: Annotated[
        str | None,
        typer.Option("--dir", help="Folder or s3://BUCKET/FOLDER. [default: RUN/archive]"),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on with the run, until SIGTERM or Ctrl-C.")
    ] = False,
    every: Annotated[
        str, typer.Option(help="With --follow: how long between two looks at the log.")
    ] = "5m",
    as_json: AsJson = False,
) -> None:
    """Keep all that a run's log says in Parquet files; again, and it goes on where it stopped."""
    from evolvent.errors import needs_archive
    from evolvent.process import until_told
    from observability.terminal.steps import told

    try:
        from evolvent.run.archive import archive_run
    except ModuleNotFoundError as error:
        raise needs_archive(error) from None

    async def work() -> "Archived":
        with until_told(asyncio.Event()) as stop, told() as show:
            return await archive_run(
                run_folder(run),
                directory,
                show,
                every_seconds=seconds_of("--every", every) if follow else None,
                stop=stop,
            )

    found = asyncio.run(work())
    said = (
        f"{found.events:,} events are in {found.files:,} files of {found.location}, "
        f"{found.bytes / 1e6:,.1f} MB"
    )
    print(json.dumps(asdict(found)) if as_json else said)


def trim(
    run: Run,
    keep: Annotated[
        int | None,
        typer.Option(min=1, help="Newest records of each partition that stay. [default: 10,000]"),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would go, and remove nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Remove from a run's log what is archived and done; whoever reads it notices nothing."""
    from evolvent.retention import KEPT
    from evolvent.run.archive import trim as trim_run

    found = asyncio.run(trim_run(run_folder(run), KEPT if keep is None else keep, dry=dry_run))
    verb = "would go" if dry_run else "are gone"
    said = f"{found.events:,} events {verb} from the log of {run}; its archive has them"
    print(json.dumps(asdict(found)) if as_json else said)
