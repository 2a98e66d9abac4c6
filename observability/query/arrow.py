"""The log as Arrow tables, built column by column in batches of bounded size. Knows no SQL."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pyarrow as pa

from bus.groups import Stream
from bus.log import Log
from observability.query.columns import Column, Kind, Table
from observability.query.tables import event_of, is_said_on

BATCH_ROWS = 2048
"""So many rows are objects of Python at a time."""


@cache
def _types() -> dict[Kind, Any]:
    versions = [("version", pa.int64()), ("start", pa.int64()), ("end", pa.int64())]
    places = [
        *(("topic", pa.string()), ("partition", pa.int64())),
        *(("first", pa.int64()), ("until", pa.int64())),
    ]
    parts = [("judge", pa.string()), ("reward", pa.float64()), ("known", pa.bool_())]
    return {
        "text": pa.string(),
        "whole": pa.int64(),
        "real": pa.float64(),
        "truth": pa.bool_(),
        "time": pa.timestamp("us"),
        "tokens": pa.list_(pa.int32()),
        "logprobs": pa.list_(pa.float32()),
        "texts": pa.list_(pa.string()),
        "reals": pa.map_(pa.string(), pa.float64()),
        "spans": pa.list_(pa.struct(versions)),
        "places": pa.list_(pa.struct(places)),
        "parts": pa.list_(pa.struct(parts)),
    }


def schema(table: Table) -> Any:
    """The Arrow schema of a table."""
    return pa.schema([(column.name, _types()[column.kind]) for column in table.columns])


class Reading:
    """Reads tables from a log. `unreadable` records of a topic were left out: no table has them."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self.unreadable: dict[str, int] = {}

    def batches(
        self, tables: Iterable[Table], starts: Mapping[Stream, int]
    ) -> Iterator[tuple[Table, Any]]:
        """Record batches of tables, of each in the order of the log, of a partition from its start
        on; a topic is read once."""
        wanted = list(tables)
        for topic in dict.fromkeys(topic for table in wanted for topic in table.topics):
            of_topic = [table for table in wanted if topic in table.topics]
            yield from self._topic(topic, of_topic, starts)

    def _topic(
        self, topic: str, tables: list[Table], starts: Mapping[Stream, int]
    ) -> Iterator[tuple[Table, Any]]:
        rows: dict[str, list[Any]] = {table.name: [] for table in tables}
        for record, event in self._events(topic, starts):
            for table in tables:
                gathered = rows[table.name]
                gathered += table.rows(record, event)
                if len(gathered) >= BATCH_ROWS:
                    yield table, batch(table, gathered)
                    rows[table.name] = []
        for table in tables:
            if rows[table.name]:
                yield table, batch(table, rows[table.name])

    def _events(self, topic: str, starts: Mapping[Stream, int]) -> Iterator[tuple[Any, Any]]:
        heads = self._log.heads()
        self.unreadable[topic] = 0
        for partition in sorted(part for name, part in heads if name == topic):
            start, end = starts.get((topic, partition), 0), heads[topic, partition]
            for record in self._log.read(topic, partition, start, end):
                event = event_of(record)
                if event is not None and is_said_on(topic, event):
                    yield record, event
                else:
                    self.unreadable[topic] += 1


def batch(table: Table, rows: list[Any]) -> Any:
    """Rows as an Arrow record batch."""
    return pa.record_batch([_array(column, rows) for column in table.columns], schema=schema(table))


def _array(column: Column, rows: list[Any]) -> Any:
    values = map(column.value, rows)
    if column.kind == "time":
        return pa.array(map(_utc, values), _types()["time"])
    if column.kind == "reals":
        return pa.array([list(value.items()) for value in values], _types()["reals"])
    return pa.array(values, _types()[column.kind])


def _utc(time: datetime) -> datetime:
    """As a time without a zone, which is UTC's."""
    return time.astimezone(UTC).replace(tzinfo=None) if time.tzinfo else time
