"""The log as Arrow tables, built column by column in batches of bounded size. Knows no SQL."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pyarrow as pa

from bus.errors import Unreadable
from bus.events import EVENTS
from bus.log import Log
from observability.query.columns import Column, Kind, Table

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
    """Reads tables from a log. `num_unreadable` records were left out: no table has them."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self.num_unreadable = 0

    def batches(self, tables: Iterable[Table]) -> Iterator[tuple[Table, Any]]:
        """Record batches of tables, of each in the order of the log; a topic is read once."""
        wanted = list(tables)
        for topic in dict.fromkeys(topic for table in wanted for topic in table.topics):
            yield from self._topic(topic, [table for table in wanted if topic in table.topics])

    def _topic(self, topic: str, tables: list[Table]) -> Iterator[tuple[Table, Any]]:
        rows: dict[str, list[Any]] = {table.name: [] for table in tables}
        for record, event in self._events(topic):
            for table in tables:
                gathered = rows[table.name]
                gathered += table.rows(record, event)
                if len(gathered) >= BATCH_ROWS:
                    yield table, _batch(table, gathered)
                    rows[table.name] = []
        for table in tables:
            if rows[table.name]:
                yield table, _batch(table, rows[table.name])

    def _events(self, topic: str) -> Iterator[tuple[Any, Any]]:
        expected = {one.topic: one for one in EVENTS.values()}.get(topic)
        heads = self._log.heads()
        for partition in sorted(part for name, part in heads if name == topic):
            for record in self._log.read(topic, partition, 0, heads[topic, partition]):
                try:
                    event = record.event()
                except Unreadable:
                    self.num_unreadable += 1
                    continue
                if expected is None or isinstance(event, expected):
                    yield record, event
                else:
                    self.num_unreadable += 1


def _batch(table: Table, rows: list[Any]) -> Any:
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
