"""What commands share: their options, the folder they mean, how they show what they found."""

import asyncio
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any, TextIO, TypeVar, cast

import typer

from evolvent.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from bus.log import Log
    from evolvent.run.folder import RunFolder
    from observability.progress.progress import Progress

Looked = TypeVar("Looked")

Run = Annotated[Path, typer.Argument(help="Folder of the run, for example runs/words.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object for programs.")]
RecipeName = Annotated[
    str | None,
    typer.Option("--recipe", help="A shipped recipe (see `evolvent recipes`) or a TOML file."),
]
Dir = Annotated[
    Path | None, typer.Option("--dir", help="Folder of the run. [default: runs/RECIPE]")
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", help="Override a setting: section.field=value. May be repeated."),
]
BusUrl = Annotated[
    str | None,
    typer.Option("--bus", help="sqlite, or kafka://HOST:PORT[,HOST:PORT...][/NAME of the run]."),
]


InArchive = Annotated[
    str | None,
    typer.Option("--archive", metavar="DIR", help="Read what was archived there, not the log."),
]


def _named(files: list[Path] | None) -> list[Path] | None:
    from evolvent.plugins import name_files

    name_files(files or [])
    return files


Plugins = Annotated[
    list[Path] | None,
    typer.Option(
        "--plugin", help="A file with parts of your own. May be repeated.", callback=_named
    ),
]


def _traced(file: Path | None) -> Path | None:
    """Every process of a run reads it from the environment."""
    import os

    from observability.telemetry.wanted import TRACE_FILE

    if file is not None:
        os.environ[TRACE_FILE] = str(file.absolute())
    return file


Trace = Annotated[
    Path | None,
    typer.Option(
        "--trace",
        metavar="FILE",
        callback=_traced,
        help="Append traces and log records to a file, as OTLP-JSON lines (see docs/telemetry.md).",
    ),
]

_DEFAULT_RECIPE = "words"
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def run_folder(run: Path, archive: str | None = None) -> "RunFolder":
    from evolvent.run.folder import RunFolder

    return RunFolder(run, archive)


def folder_and_recipe(
    recipe: str | None, directory: Path | None, settings: list[str] | None, bus: str | None = None
) -> tuple["RunFolder", Any]:
    """The folder that is meant, and the recipe if one was named or is needed."""
    from evolvent.recipe.load import changed_recipe, load_recipe

    named = recipe or _DEFAULT_RECIPE
    folder = run_folder(directory or Path("runs") / Path(named).stem)
    if recipe is not None or not folder.exists:
        return folder, load_recipe(named, settings, bus)
    stored = folder.recipe().without_commands()
    return folder, changed_recipe(stored, settings, bus) if settings or bus else None


def on_log(folder: "RunFolder", look: "Callable[[Log], Looked]") -> "Looked":
    """What `look` sees on the log of a run."""

    async def read() -> Looked:
        async with folder.log() as bus:
            return await asyncio.to_thread(look, bus.log)

    return asyncio.run(read())


def known_of(log: "Log") -> "Progress":
    """What is known of a run."""
    from observability.progress.progress import Progress

    progress = Progress(log)
    progress.refresh()
    return progress


def terminal(on_gone: Callable[[], None] | None = None, *, stderr: bool = False) -> "Console":
    """Where people read. With `on_gone` their going away is told there, and nothing fails."""
    from rich.console import Console

    from evolvent.output import Enduring

    if on_gone is None:
        return Console(stderr=stderr)
    return Console(file=cast(TextIO, Enduring(sys.stdout, on_gone)))


@contextmanager
def begun(console: "Console", what: str) -> Iterator[Callable[[str], None]]:
    """Says what is being done: on a terminal for as long as it lasts, elsewhere as lines, at most
    one a second. What is yielded says something else."""
    if console.is_terminal:
        with console.status(what) as status:
            yield status.update
        return
    said = float("-inf")

    def show(words: str) -> None:
        nonlocal said
        if (now := monotonic()) - said >= 1.0:
            said = now
            console.print(words, markup=False, highlight=False, soft_wrap=True)

    show(what)
    yield show


def display(as_json: bool, value: Any, table: "Any") -> None:
    """`value` for programs, `table()` for people."""
    if as_json:
        print(json.dumps(value))
        return
    rendered: RenderableType = table()
    terminal().print(rendered)


def check_folder(out: Path) -> None:
    """Raises `UsageError` unless a new folder can be made there."""
    if out.exists():
        raise UsageError(f"{out} is there already: name a new folder")
    if not out.absolute().parent.is_dir():
        raise UsageError(f"{out}: there is no folder {out.absolute().parent}; make it first")


def seconds_of(option: str, text: str) -> float:
    """A time as people write it: 90s, 5m, 2h. Raises `UsageError`."""
    number, unit = (text[:-1], text[-1]) if text[-1:] in _UNITS else (text, "s")
    try:
        seconds = float(number) * _UNITS[unit]
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise UsageError(f"{option} {text}: write a time above zero such as 90s, 5m or 2h")
    return seconds
