"""`evolvent export`: data sets and model folders made of a run."""

from pathlib import Path

from agents.engines.engine import SwapRefused
from bus.log import Log
from evolvent.ask.ask import find_whole
from evolvent.errors import UsageError
from evolvent.run.folder import RunFolder
from observability.export.folder import FORMS, NothingToExport, write_set
from observability.export.sets import KINDS, Counted, rows_of
from observability.export.version import write_version
from observability.lineage.course import evaluations
from observability.lineage.lineage import lineage

_DEFAULT_FORM = {"groups": "jsonl"}


def export_set(log: Log, folder: RunFolder, what: str, out: Path, form: str | None) -> str:
    """Write the data set `what` of a run to the new folder `out`; what was done. Raises
    `UsageError`."""
    if what not in KINDS:
        raise UsageError(f"there is nothing called {what}: there are {', '.join(KINDS)}, model")
    form = form or _DEFAULT_FORM.get(what, FORMS[0])
    if form not in FORMS:
        raise UsageError(f"--form {form}: there are {', '.join(FORMS)}")
    kind, counted = KINDS[what], Counted()
    named = (folder.run_id, str(folder.settings["name"]))
    try:
        write_set(out, kind, rows_of(log, kind, counted), counted, form, named)
    except NothingToExport as error:
        raise UsageError(str(error)) from None
    except ModuleNotFoundError as error:
        raise UsageError(
            f"Parquet needs the extra `query` ({error}): install it with `uv sync --extra query`, "
            "or say --form jsonl"
        ) from None
    return (
        f"{counted.rows:,} rows of {counted.judgments:,} judgments are in {out}; left out: "
        f"{counted.left_out:,} {kind.left_out}"
    )


def export_model(log: Log, folder: RunFolder, out: Path, version: int | None) -> str:
    """Write a version of a run to the new folder `out`; what was done. Raises `UsageError`,
    `DamagedCheckpoint`, `UnknownEvent`."""
    weights = find_whole(folder, log, version)
    found = lineage(log, folder.path, weights.number)
    measured = [one for one in evaluations(log) if one.weights == weights.id]
    recipe = str(folder.settings["name"])
    try:
        write_version(out, folder.path, weights, found, measured[-1] if measured else None, recipe)
    except SwapRefused as error:
        raise UsageError(str(error)) from None
    except FileNotFoundError as error:
        raise UsageError(f"{error.filename} is missing: see `evolvent audit`") from None
    return f"version {weights.number} is in {out}"
