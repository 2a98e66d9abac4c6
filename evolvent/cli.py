"""The command line: thin commands, each of which loads only what it needs."""

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evolvent.errors import UsageError, disk_sentence
from evolvent.kafka_cli import app as kafka_app

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from evolvent.run_folder import RunFolder
    from observability.progress import Progress

app = typer.Typer(
    name="evolvent",
    help="A language model evolves itself as a system of agents over an event log.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(kafka_app)

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
Count = Annotated[int | None, typer.Option("--count", min=1, help="Held-out problems per level.")]

_DEFAULT_RECIPE = "words"
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


@app.command()
def run(
    recipe: RecipeName = None,
    directory: Dir = None,
    budget: Annotated[
        str | None, typer.Option(help="How long to evolve: 90s, 5m, 2h. [default: the recipe's]")
    ] = None,
    until: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, help="Stop as soon as held-out accuracy reaches this."),
    ] = None,
    settings: Set = None,
) -> None:
    """Evolve a model. The same folder goes on where it stopped; Ctrl-C stops cleanly."""
    from evolvent.run import Budget, prepare, start

    seconds = None if budget is None else _seconds(budget)
    folder, wanted = _folder_and_recipe(recipe, directory, settings)
    with folder.locked():
        stored = prepare(folder, wanted)
        limits = Budget(seconds=seconds or stored.run.budget_seconds, until=until)
        asyncio.run(start(folder, limits, _console()))


@app.command()
def status(run: Run, as_json: AsJson = False) -> None:
    """Where a run stands: version, accuracy, curriculum, speed, staleness, lag."""
    from observability.summary import summary

    progress = _progress(_folder(run))
    _show(as_json, progress.as_json(), lambda: summary(progress))


@app.command()
def ask(
    run: Run,
    inputs: Annotated[list[str], typer.Argument(help="Inputs of your own, such as a word.")],
    version: Annotated[
        list[int] | None,
        typer.Option(help="Version to ask; repeat to compare. [default: the newest]"),
    ] = None,
    family: Annotated[
        str | None, typer.Option(help="Family of tasks, where the domain has several.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Try any version with inputs of your own."""
    from evolvent.ask import ask as ask_versions
    from evolvent.tables import answers_table

    answers = asyncio.run(ask_versions(_folder(run), inputs, version or [], family))
    _show(as_json, [asdict(answer) for answer in answers], lambda: answers_table(answers))


@app.command()
def audit(
    run: Run,
    quick: Annotated[
        int | None, typer.Option(min=1, help="Read the files of only so many newest versions.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Prove from log and checkpoints that nothing was lost or learned twice; exit 1 if not."""
    from evolvent.tables import counts_table
    from observability.audit import audit as audit_run

    folder = _folder(run)

    async def prove() -> Any:
        async with folder.log() as bus:
            return await asyncio.to_thread(audit_run, bus, folder.path, quick)

    found = asyncio.run(prove())
    violations = [asdict(violation) for violation in found.violations]
    whole = {"ok": found.ok, "counts": found.counts, "violations": violations}
    _show(as_json, whole, lambda: counts_table(found.counts))
    if not found.ok:
        print(f"evolvent: violated: {found.violations[0]}", file=sys.stderr)
        raise typer.Exit(1)


@app.command()
def curve(run: Run, as_json: AsJson = False) -> None:
    """Held-out accuracy over versions, drawn in the terminal."""
    from observability.curve import accuracy_curve

    progress = _progress(_folder(run))
    _show(as_json, progress.as_json()["curve"], lambda: accuracy_curve(progress))


@app.command()
def evaluate(
    run: Run,
    version: Annotated[int | None, typer.Option(help="Version. [default: the newest]")] = None,
    count: Count = None,
    as_json: AsJson = False,
) -> None:
    """Score any version on the held-out suites."""
    from evolvent.ask import evaluate as evaluate_version
    from evolvent.tables import scores_table

    evaluation = asyncio.run(evaluate_version(_folder(run), version, count))
    _show(as_json, evaluation.model_dump(mode="json"), lambda: scores_table(evaluation))


@app.command()
def report(run: Run) -> None:
    """Draw the report of a run again: one HTML page and its pictures."""
    from observability.report import write_report

    folder = _folder(run)

    async def write() -> Path:
        async with folder.log() as bus:
            return await asyncio.to_thread(write_report, bus, folder.path)

    print(asyncio.run(write()))


@app.command()
def seed(recipe: RecipeName = None, directory: Dir = None, settings: Set = None) -> None:
    """Make a run's seed model (version 0) and stop; `evolvent run` goes on from there."""
    from evolvent.run import prepare
    from evolvent.seed import make_version_0

    folder, wanted = _folder_and_recipe(recipe, directory, settings)
    with folder.locked():
        prepare(folder, wanted)
        with _console().status("warming up the seed model") as status:
            weights = asyncio.run(make_version_0(folder, status.update))
    print(folder.path / weights.location)


@app.command()
def topics(
    run: Annotated[Path | None, typer.Argument(help="Folder of a run, to count events.")] = None,
    as_json: AsJson = False,
) -> None:
    """The topics of the log: what each carries, its key, its partitions."""
    from bus.topics import TOPICS
    from evolvent.tables import topics_table

    counts: dict[str, int] = {}
    if run is not None:
        counts = dict(_progress(_folder(run)).as_json()["counts"])
    rows = [{**asdict(topic), "events": counts.get(topic.name, 0)} for topic in TOPICS.values()]
    _show(as_json, rows, lambda: topics_table(rows, counted=run is not None))


@app.command()
def schema() -> None:
    """The events as an AsyncAPI 3.0 document, in JSON."""
    from bus.schema import asyncapi

    print(json.dumps(asyncapi(), indent=2))


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Whether this machine and environment can run evolvent; exit 1 if something is amiss."""
    from evolvent.doctor import diagnose
    from evolvent.tables import findings_table

    findings = list(diagnose(Path("runs")))
    _show(as_json, [asdict(found) for found in findings], lambda: findings_table(findings))
    if not all(found.well for found in findings):
        raise typer.Exit(1)


@app.command()
def recipes(
    show: Annotated[str | None, typer.Option(help="Print this recipe's file.")] = None,
    as_json: AsJson = False,
) -> None:
    """The recipes that come with evolvent."""
    from evolvent.recipe import load_recipe, shipped
    from evolvent.tables import recipes_table

    if show is not None:
        if show not in shipped():
            raise UsageError(f"there is no recipe {show}: there are {', '.join(shipped())}")
        print(shipped()[show].read_text(encoding="utf-8"), end="")
        return
    known = [load_recipe(name) for name in shipped()]
    _show(
        as_json, [recipe.model_dump(mode="json") for recipe in known], lambda: recipes_table(known)
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command. What a user can mend is one sentence and exit code 2."""
    from evolvent.doctor import check_names

    try:
        check_names()
        app(args=arguments)
    except UsageError as error:
        return _refuse(str(error))
    except Exception as error:
        sentence = str(error) if _is_mendable(error) else disk_sentence(error)
        if sentence is None:
            raise
        return _refuse(sentence)
    return 0


def _refuse(sentence: str) -> int:
    print(f"evolvent: {sentence}", file=sys.stderr)
    sys.exit(2)


def _is_mendable(error: Exception) -> bool:
    """Damage and contention that the parts themselves describe in a sentence."""
    from bus.bus import BusError
    from trainer.manifest import DamagedCheckpoint

    return isinstance(error, BusError | DamagedCheckpoint)


def _folder(run: Path) -> "RunFolder":
    from evolvent.run_folder import RunFolder

    return RunFolder(run)


def _folder_and_recipe(
    recipe: str | None, directory: Path | None, settings: list[str] | None
) -> tuple["RunFolder", Any]:
    """The folder that is meant, and the recipe if one was named or is needed."""
    from evolvent.recipe import load_recipe

    named = recipe or _DEFAULT_RECIPE
    folder = _folder(directory or Path("runs") / Path(named).stem)
    if recipe is None and not settings and folder.exists:
        return folder, None
    if recipe is None and settings and folder.exists and directory is not None:
        named = folder.recipe().name
    return folder, load_recipe(named, settings)


def _progress(folder: "RunFolder") -> "Progress":
    from observability.progress import Progress

    async def read() -> Progress:
        async with folder.log() as bus:
            progress = Progress(bus)
            progress.refresh()
            return progress

    return asyncio.run(read())


def _seconds(budget: str) -> float:
    number, unit = (budget[:-1], budget[-1]) if budget[-1:] in _UNITS else (budget, "s")
    try:
        seconds = float(number) * _UNITS[unit]
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise UsageError(f"--budget {budget}: write a time above zero such as 90s, 5m or 2h")
    return seconds


def _console() -> "Console":
    from rich.console import Console

    return Console()


def _show(as_json: bool, value: Any, table: "Any") -> None:
    """`value` for programs, `table()` for people."""
    if as_json:
        print(json.dumps(value))
        return
    rendered: RenderableType = table()
    _console().print(rendered)


if __name__ == "__main__":
    sys.exit(main())
