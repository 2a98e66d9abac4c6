"""Commands that tell the roles of a run what to do, through its log."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from evolvent.commands.options import Plugins, Run, run_folder

if TYPE_CHECKING:
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


def _say(run: Run, command: str, role: str | None, does: str, do: str) -> None:
    from evolvent.run.control import tell

    told: Control = asyncio.run(tell(run_folder(run), command, role))
    who = f"{told.role} {does}" if role else f"all roles {do}"
    print(f"{run}: {who} from now on")
