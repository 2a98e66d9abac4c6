"""Commands that tell the roles of a run what to do, through its log."""

import asyncio
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evolvent.commands.options import AsJson, InArchive, Plugins, Run, display, on_log, run_folder

if TYPE_CHECKING:
    from rich.console import RenderableType

    from bus.events import Control

Role = Annotated[
    str | None, typer.Argument(help="One role alone, for example solver. [default: all of them]")
]


def pause(run: Run, role: Role = None) -> None:
    """Let a role take nothing new: it finishes what it has, and keeps its place until `resume`."""
    _say(run, "pause", role, "takes nothing new", "take nothing new")


def resume(run: Run, role: Role = None) -> None:
    """Let a paused role go on."""
    _say(run, "resume", role, "may take what is new", "may take what is new")


def stop(run: Run, role: Role = None) -> None:
    """End a role, or the run, in order: what it has begun is finished. `run` starts it again."""
    _say(run, "stop", role, "ends", "end")


def objective(
    run: Run,
    settings: Annotated[
        list[str], typer.Argument(help="Settings of the source, such as advance_at=0.5.")
    ],
    plugins: Plugins = None,
) -> None:
    """Let the source ask by other settings from the next version on."""
    from evolvent.run.control import new_objective

    told = asyncio.run(new_objective(run_folder(run), settings))
    said = ", ".join(f"{name} = {value}" for name, value in told.settings.items())
    asks = f"asks by {said}" if said else "asks by the recipe alone"
    print(f"{run}: from the next version on the source {asks}")


def dead(
    run: Run,
    requeue: Annotated[
        str | None,
        typer.Option("--requeue", metavar="ID", help="Send one round of this letter again."),
    ] = None,
    archive: InArchive = None,
    as_json: AsJson = False,
) -> None:
    """What the roles could not answer, and why; one of it may be sent again."""
    from evolvent.run.dead import letters, send_again

    if requeue is None:
        found = on_log(run_folder(run, archive), lambda log: [asdict(one) for one in letters(log)])
        display(as_json, {"dead": found}, lambda: _dead_table(found))
        return
    letter, event, new = asyncio.run(send_again(run_folder(run), requeue))
    sent = {"letter": letter.id, "event": event.id, "topic": event.channel, "new": new}
    how = "is sent again" if new else "was sent again before: nothing more is sent"
    print(
        json.dumps(sent) if as_json else f"{run}: {letter.id} {how}, as {event.type()} {event.id}"
    )


def _dead_table(found: list[dict[str, Any]]) -> "RenderableType":
    from evolvent.tables import dead_table

    return dead_table(found)


def _say(run: Run, command: str, role: str | None, does: str, do: str) -> None:
    from evolvent.run.control import tell

    told: Control = asyncio.run(tell(run_folder(run), command, role))
    who = f"{told.role} {does}" if role else f"all roles {do}"
    print(f"{run}: {who} from now on")
