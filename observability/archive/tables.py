"""The tables of a query beside the events of an archive: whoever asks in SQL reads their columns
and decodes no event. They follow from the events, and are made again where they are missing or
have other columns. Knows no SQL.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq

from bus.events import Event
from bus.groups import Stream
from bus.records import Record
from observability.archive.manifest import TableFile
from observability.archive.place import Place
from observability.query.arrow import batch, schema
from observability.query.columns import Column, Table
from observability.query.tables import TABLES, is_said_on

_ARRAYS = ("tokens", "logprobs")
"""Kinds that stand in the event alone: they are most of it, and nothing makes them smaller."""

_REVISION = 1
"""To be raised when a column says something else than it did under its name."""


def is_stored(column: Column) -> bool:
    return column.kind not in _ARRAYS


STORED = {
    name: replace(table, columns=tuple(filter(is_stored, table.columns)))
    for name, table in TABLES.items()
}
"""The tables, with the columns that an archive has of them."""


def _form() -> str:
    columns = {
        name: [(one.name, one.kind) for one in table.columns] for name, table in STORED.items()
    }
    return hashlib.sha256(json.dumps([_REVISION, columns]).encode()).hexdigest()[:16]


FORM = _form()
"""Names the columns of all tables."""


def tables_of(topic: str) -> list[Table]:
    """What is made of the records of a topic."""
    return [table for table in STORED.values() if topic in table.topics]


class Sheets:
    """The tables of one range of records while they are written; `files` once they are."""

    def __init__(self, sheets: list["_Sheet"]) -> None:
        self._sheets = sheets
        self._unreadable = 0
        self.files: list[TableFile] = []

    def add(self, record: Record, event: Event | None) -> None:
        """`event` is None where the record cannot be read."""
        if event is None or not is_said_on(record.topic, event):
            self._unreadable += 1
            return
        for sheet in self._sheets:
            sheet.rows += sheet.table.rows(record, event)

    def flush(self) -> None:
        """What was added is written, and no longer held."""
        for sheet in self._sheets:
            sheet.flush()

    def close(self) -> None:
        self.files = [sheet.closed(self._unreadable) for sheet in self._sheets]


class _Sheet:
    def __init__(self, table: Table, file: TableFile, path: Path) -> None:
        self.table, self._file, self._path = table, file, path
        self.rows: list[object] = []
        self._writer = pq.ParquetWriter(
            path,
            schema(table),
            version="2.6",
            compression="zstd",
            compression_level=3,
            store_schema=False,
        )

    def flush(self) -> None:
        if self.rows:
            self._writer.write_batch(batch(self.table, self.rows))
            self.rows = []

    def closed(self, unreadable: int) -> TableFile:
        self.flush()
        self._writer.close()
        return self._file.model_copy(update=measured(self._path) | {"unreadable": unreadable})


@contextmanager
def tabulated(place: Place, stream: Stream, first: int, end: int) -> Iterator[Sheets]:
    """The tables of the records [first, end) of a partition: at the end they are there."""
    topic, partition = stream
    with ExitStack() as stack:
        found = []
        for table in tables_of(topic):
            file = TableFile(
                table=table.name, topic=topic, partition=partition, first=first, end=end
            )
            found.append(_Sheet(table, file, stack.enter_context(place.writing(file.name))))
        sheets = Sheets(found)
        yield sheets
        sheets.close()


def measured(path: Path) -> dict[str, int | str]:
    """What a manifest says of a file that was written."""
    with path.open("rb") as written:
        digest = hashlib.file_digest(written, "sha256").hexdigest()
    return {"size": path.stat().st_size, "sha256": digest}
