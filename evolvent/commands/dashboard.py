"""Commands that show runs in a browser, or list them."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from evolvent.commands.options import AsJson, InArchive, display

PORT = 8765


def dashboard(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(metavar="RUN...", help="Folders of runs, or of many."),
    ] = None,
    bus: Annotated[
        str | None, typer.Option(help="A run on a broker: kafka://HOST:PORT[,HOST:PORT...]/NAME.")
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen at; beyond loopback a token is needed.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = PORT,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="EVOLVENT_DASHBOARD_TOKEN",
            help="What a page must bear. [default: made where one is needed]",
        ),
    ] = None,
    control: Annotated[
        bool, typer.Option("--control", help="Let the page pause, resume, stop: with a token.")
    ] = False,
    archive: InArchive = None,
) -> None:
    """Show runs in a browser, while they go on or when they have ended; Ctrl-C stops."""
    from evolvent.watching.listener import bind, url_of
    from evolvent.watching.serving import check_extra, serve, token_for
    from evolvent.watching.sources import sources

    check_extra()
    found = sources(runs or [], bus, archive)
    needed = token_for(host, token, control=control)
    with bind(host, port) as listener:
        print(f"{url_of(listener)}/{f'?token={needed}' if needed else ''}", flush=True)
        try:
            asyncio.run(serve(found, listener, needed, control=control))
        except KeyboardInterrupt:
            print("evolvent: the dashboard has stopped", file=sys.stderr)


def runs(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A folder with runs.")] = Path(
        "runs"
    ),
    as_json: AsJson = False,
) -> None:
    """Every run below a folder: state, accuracy, size, tags and notes."""
    from evolvent.tables import runs_table
    from evolvent.watching.listing import listing

    found = asyncio.run(listing(directory))
    display(as_json, {"runs": found}, lambda: runs_table(found))
