"""Commands that question the log of a run."""

import json
import shlex
import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from evolvent.commands.options import (
    AsJson,
    InArchive,
    Run,
    check_folder,
    display,
    on_log,
    run_folder,
    terminal,
)
from evolvent.errors import UsageError

if TYPE_CHECKING:
    from bus.log import Log
    from evolvent.run.folder import RunFolder
    from observability.lineage.lineage import Lineage
    from observability.lineage.taught import Taught

Found = TypeVar("Found")


def query(
    run: Run,
    sql: Annotated[
        str | None, typer.Argument(help='A question, as "SELECT * FROM versions".')
    ] = None,
    tables: Annotated[
        bool, typer.Option("--tables", help="Show the tables and views, with their columns.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Write the answer to a new file: .csv, .json or .parquet.")
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    archive: InArchive = None,
    as_json: AsJson = False,
) -> None:
    """Ask the log of a run a question in SQL. Nothing else is read, and nothing written."""
    from observability.query import answers

    if (sql is None) == (not tables):
        raise UsageError('ask one question, as "SELECT * FROM versions", or look at --tables')
    folder = run_folder(run, archive)
    if sql is None:
        _show_tables(folder, as_json)
        return
    if out is not None:
        _check_new(out, answers.FORMS)
    from evolvent.opened.opened import answered

    answer, num_unreadable = on_log(folder, lambda log: answered(folder, log, sql))
    if num_unreadable:
        print(f"evolvent: {num_unreadable:,} records cannot be read: left out", file=sys.stderr)
    if out is not None:
        answers.write(answer, out)
    elif as_csv:
        answers.write_csv(answer, sys.stdout)
    elif as_json:
        print(json.dumps(answers.as_json(answer)))
    else:
        print(answers.as_text(answer, terminal().width))


def _show_tables(folder: "RunFolder", as_json: bool) -> None:
    from evolvent.opened.opened import query_of
    from evolvent.tables import columns_table

    found = on_log(folder, lambda log: list(query_of(folder, log).columns()))
    whole = [{"name": name, "about": about, "columns": dict(of)} for name, about, of in found]
    display(as_json, whole, lambda: columns_table(found))


def _check_new(out: Path, forms: tuple[str, ...]) -> None:
    if out.suffix not in forms:
        raise UsageError(f"--out {out}: name a file that ends in {', '.join(forms)}")
    if out.exists():
        raise UsageError(f"--out {out}: there is such a file; name another one")
    if not out.absolute().parent.is_dir():
        raise UsageError(f"--out {out}: there is no such folder; make it first")


def lineage(
    run: Run,
    of: Annotated[
        str, typer.Argument(metavar="VERSION|TASK|EVENT", help="A version's number, or an id.")
    ],
    whole: Annotated[
        bool, typer.Option("--whole", help="Every judgment of the versions behind it too.")
    ] = False,
    picture: Annotated[
        Path | None, typer.Option(help="Draw that of a version into a new file: .svg.")
    ] = None,
    archive: InArchive = None,
    as_json: AsJson = False,
) -> None:
    """What stands behind a version, down to version 0; or what a task or event taught."""
    from observability.lineage.lineage import Lineage
    from observability.lineage.trees import text_of, tree_of_lineage, tree_of_taught

    if picture is not None:
        _check_new(picture, (".svg",))
    found = _on_log(run_folder(run, archive), lambda log: _lineage(log, run, of, whole))
    if not isinstance(found, Lineage):
        if picture or whole:
            raise UsageError(f"{of} is no version: --picture and --whole go with one")
        _show(as_json, asdict(found), text_of(tree_of_taught(found)))
        return
    if picture is not None:
        from observability.lineage.picture import drawn

        picture.write_text(drawn(found), encoding="utf-8")
    whole_of = asdict(found) | {"behind": asdict(found.behind)}
    _show(as_json, whole_of, text_of(tree_of_lineage(found)))


def trace(
    run: Run,
    task: Annotated[str, typer.Argument(help="Id of a task, or of an event that belongs to one.")],
    archive: InArchive = None,
    as_json: AsJson = False,
) -> None:
    """One task through all agents, in the order of what happened, with times and versions."""
    from observability.lineage.trace import trace as traced
    from observability.lineage.trees import lines_of_trace

    found = _on_log(run_folder(run, archive), lambda log: traced(log, run, task))
    _show(as_json, [asdict(one) for one in found], "\n".join(lines_of_trace(found)))


def _show(as_json: bool, value: Any, lines: str) -> None:
    """`value` for programs, with times as ISO 8601; else lines that no terminal wraps anew."""
    from observability.terminal.lines import printable

    print(json.dumps(value, default=datetime.isoformat) if as_json else printable(lines))


def export(
    run: Run,
    what: Annotated[str, typer.Argument(metavar="WHAT", help="prompts, pairs, groups, or model.")],
    out: Annotated[Path, typer.Argument(help="A new folder.")],
    form: Annotated[
        str | None,
        typer.Option(help="Of rows: parquet or jsonl. [default: parquet; of groups jsonl]"),
    ] = None,
    version: Annotated[
        int | None, typer.Option(help="Of a model: which. [default: the newest]")
    ] = None,
    archive: InArchive = None,
) -> None:
    """Data sets for other trainers, made of what was judged; or a version as a model folder."""
    from evolvent.opened.export import export_model, export_set

    folder = run_folder(run, archive)
    check_folder(out)
    if what == "model":
        if form is not None:
            raise UsageError(f"--form {form} is of rows: leave it out for a model")
        print(_on_log(folder, lambda log: export_model(log, folder, out, version)))
        return
    if version is not None:
        raise UsageError(f"--version {version} is of a model: leave it out for {what}")
    print(_on_log(folder, lambda log: export_set(log, folder, what, out, form)))


def example(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder.")],
) -> None:
    """Write a small recorded run, to try on everything that looks at one."""
    from evolvent.opened.example import write_example

    write_example(directory)
    shown = shlex.quote(str(directory))
    print(f"{directory} is a run of the recipe words, made small. Look at it:")
    for words in ("status {}", 'query {} "SELECT * FROM versions"', "lineage {} 1"):
        print(f"  evolvent {words.format(shown)}")


def _lineage(log: "Log", run: Path, of: str, whole: bool) -> "Lineage | Taught":
    from observability.lineage.course import found
    from observability.lineage.lineage import lineage as behind
    from observability.lineage.taught import taught

    if len(of) < 32 and of.isdecimal():
        return behind(log, run, int(of), whole=whole)
    event = found(log, of).event
    version = getattr(event, "number", getattr(event, "weights_version", None))
    if isinstance(version, int) and event.type() not in ("task", "refusal", "lesson"):
        return behind(log, run, version, whole=whole)
    return taught(log, run, of)


def _on_log(folder: "RunFolder", look: "Callable[[Log], Found]") -> Found:
    from observability.lineage.lineage import UnknownEvent

    try:
        return on_log(folder, look)
    except UnknownEvent as error:
        raise UsageError(str(error)) from None
