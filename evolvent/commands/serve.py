"""`evolvent serve`: the command around one server of a run's weights."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from evolvent.commands.options import Plugins, Trace


def serve(
    run: Annotated[Path, typer.Argument(help="Folder of the run, for example runs/words.")],
    host: Annotated[
        str, typer.Option(help="Address to listen at; whoever reaches it can use the model.")
    ] = "127.0.0.1",
    policy: Annotated[
        str, typer.Option(help="Policy of the recipe: current, previous, reference, or its own.")
    ] = "current",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8200,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="EVOLVENT_SERVE_TOKEN",
            show_envvar=True,
            help="What clients must bear; needed beyond loopback. Others see an option, not this.",
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Override a setting of the engine: engine.field=value."),
    ] = None,
    plugins: Plugins = None,
    trace: Trace = None,
) -> None:
    """Serve a run's weights to people, programs (OpenAI's API) and agents; Ctrl-C stops."""
    from evolvent.run.folder import RunFolder
    from evolvent.serve import check_token, hosted
    from evolvent.serve import serve as serve_run
    from evolvent.watching.listener import bind
    from evolvent.watching.observed import asked_for, observed

    asked_for()
    check_token(host, token)
    folder = RunFolder(run)
    recipe = folder.recipe()
    engine = hosted(recipe, recipe.policy(policy), settings or [])
    with bind(host, port) as listener, observed(folder.run_id, "serve"):
        asyncio.run(serve_run(folder, policy, engine, listener, token or "", _say))


def _say(text: str) -> None:
    print(f"evolvent: {text}", file=sys.stderr, flush=True)
