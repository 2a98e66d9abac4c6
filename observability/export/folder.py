"""A data set as a folder that the library `datasets` loads: its rows, and a card that says where
they are from. Written aside, then renamed. Knows no event."""

import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from observability.export.sets import Counted, Kind, Row

FORMS = ("parquet", "jsonl")
_BATCH_ROWS = 1024

_CARD = """---
pretty_name: {name} of {run}
tags: [evolvent]
configs:
- config_name: default
  data_files:
  - split: train
    path: data/train.{form}
---

# {name} of {run}

{about}

{rows:,} rows, made of the {judgments:,} judgments of the run `{run}` (recipe `{recipe}`) by
`evolvent export`. Left out: {left_out:,} {what}, and {unreadable:,} records that cannot be read.
Rows stand in the order of the log; `task` and `judgment` are ids of events there, `granted_by` and
`sampled_by` versions of the model.
"""


class NothingToExport(Exception):
    """The run has no rows of a kind: one sentence."""


@contextmanager
def aside(out: Path) -> Iterator[Path]:
    """A folder that becomes `out` once it is whole."""
    made = out.with_name(f".{out.name}.{os.getpid()}")
    made.mkdir()
    try:
        yield made
        made.rename(out)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def write_set(
    out: Path, kind: Kind, rows: Iterable[Row], counted: Counted, form: str, run: tuple[str, str]
) -> None:
    """Write rows of a kind, and their card, to the new folder `out`; `run` is the run's name and
    that of its recipe. `counted` is read when all rows are. Raises `NothingToExport`."""
    with aside(out) as folder:
        (folder / "data").mkdir()
        file = folder / "data" / f"train.{form}"
        if form == "parquet":
            _write_parquet(file, kind, rows)
        else:
            with file.open("w", encoding="utf-8") as stream:
                for row in rows:
                    stream.write(json.dumps(row, ensure_ascii=False) + "\n")
        if not counted.rows:
            raise NothingToExport(
                f"there is nothing to write: of {counted.judgments:,} judgments all that there is "
                f"are {counted.left_out:,} {kind.left_out}"
            )
        card = _CARD.format(
            name=kind.name,
            run=run[0],
            recipe=run[1],
            form=form,
            about=kind.about,
            what=kind.left_out,
            rows=counted.rows,
            judgments=counted.judgments,
            left_out=counted.left_out,
            unreadable=counted.unreadable,
        )
        (folder / "README.md").write_text(card, encoding="utf-8")


def _write_parquet(file: Path, kind: Kind, rows: Iterable[Row]) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    left = iter(rows)
    with parquet.ParquetWriter(file, _schema(kind)) as writer:
        while batch := list(islice(left, _BATCH_ROWS)):
            writer.write_table(pa.Table.from_pylist(batch, schema=writer.schema))


def _schema(kind: Kind) -> Any:
    import pyarrow as pa

    def field(name: str, what: Any) -> Any:
        if isinstance(what, list):
            return pa.field(name, pa.list_(field("item", what[0]).type))
        if isinstance(what, dict):
            return pa.field(name, pa.struct([field(*each) for each in what.items()]))
        return pa.field(name, _types()[what])

    return pa.schema([field(*each) for each in kind.columns.items()])


def _types() -> dict[str, Any]:
    import pyarrow as pa

    return {
        "text": pa.string(),
        "whole": pa.int64(),
        "real": pa.float64(),
        "truth": pa.bool_(),
        "token": pa.int32(),
        "logprob": pa.float32(),
    }
