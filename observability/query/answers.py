"""Answers of a query as people and programs read them: a table, CSV, JSON, Parquet. Knows no SQL;
an answer is an Arrow table."""

import csv
import json
import os
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from math import isfinite
from pathlib import Path
from typing import Any, TextIO

from observability.terminal.lines import printable

MOST_ROWS = 100
"""So many rows of an answer are shown to people."""


def as_text(answer: Any, width: int, most: int = MOST_ROWS) -> str:
    """The first rows of an answer: a line a row or, where these are wider than `width`, a line a
    value."""
    rows = [[_shown(value) for value in row] for row in _rows(answer.slice(0, most))]
    names = answer.column_names
    widths = [max(map(len, column)) for column in zip(names, *rows, strict=True)]
    if sum(widths) + 2 * len(widths) - 2 <= width:
        right = [_is_number(field.type) for field in answer.schema]
        lines = [_line(row, widths, right) for row in (names, *rows)]
    else:
        longest = max(map(len, names))
        lines = [
            line
            for number, row in enumerate(rows, 1)
            for line in (
                f"row {number}",
                *(f"  {name:{longest}}  {one}" for name, one in zip(names, row, strict=True)),
            )
        ]
    if answer.num_rows > most:
        lines.append(f"{most} of {answer.num_rows:,} rows; --csv and --json print all")
    return "\n".join(line.rstrip() for line in lines)


def _line(row: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    cells = zip(row, widths, right, strict=True)
    return "  ".join(f"{one:>{width}}" if end else f"{one:{width}}" for one, width, end in cells)


def as_json(answer: Any) -> list[dict[str, Any]]:
    """A row as an object."""
    return [dict(zip(answer.column_names, row, strict=True)) for row in _rows(answer)]


def write_csv(answer: Any, stream: TextIO) -> None:
    """With a line of names; what holds several values is JSON, what is missing is empty."""
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(answer.column_names)
    for row in _rows(answer):
        writer.writerow(json.dumps(v) if isinstance(v, list | dict) else v for v in row)


def _write_json(answer: Any, stream: TextIO) -> None:
    json.dump(as_json(answer), stream)
    stream.write("\n")


_TEXTS: dict[str, Callable[[Any, TextIO], None]] = {".csv": write_csv, ".json": _write_json}

_MILLISECONDS = len("2026-11-28T10:20:30.123")

FORMS = (*_TEXTS, ".parquet")
"""What an answer may be written as."""


def write(answer: Any, path: Path) -> None:
    """Write an answer to a file whose name ends in one of `FORMS`, aside and then renamed."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        if path.suffix == ".parquet":
            from pyarrow import parquet

            parquet.write_table(answer, aside)
        else:
            with aside.open("w", encoding="utf-8", newline="") as stream:
                _TEXTS[path.suffix](answer, stream)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def _rows(answer: Any) -> Iterator[tuple[Any, ...]]:
    """Row by row, as what JSON has."""
    for batch in answer.to_batches(max_chunksize=1024):
        columns = [column.to_pylist(maps_as_pydicts="strict") for column in batch.columns]
        for row in zip(*columns, strict=True):
            yield tuple(map(_plain, row))


def _plain(value: Any) -> Any:
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if isfinite(value) else str(value)
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case datetime() | date() | time():
            return value.isoformat()[:_MILLISECONDS]
        case dict():
            return {str(name): _plain(one) for name, one in value.items()}
        case list():
            return [_plain(one) for one in value]
    return value.hex() if isinstance(value, bytes) else str(value)


def _is_number(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind))


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 10_000 else f"{value:.0f}"
    said = json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else str(value)
    return printable(said).replace("\n", "\\n")
