"""What a table of the log is: columns of what its events say. Knows no event and no Arrow."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Literal

from bus.events import Event
from bus.records import Record

Kind = Literal[
    "text",
    "whole",
    "real",
    "truth",
    "time",
    "tokens",
    "logprobs",
    "texts",
    "reals",
    "spans",
    "places",
    "parts",
]
"""What stands in a column; `observability/query/arrow.py` has Arrow's name for each."""


@dataclass(frozen=True, slots=True)
class Column:
    """One value of every row, of what `rows` of its table yields."""

    name: str
    kind: Kind
    value: Callable[[Any], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """What the events on `topics` say, a row for each of what `rows` makes of one."""

    name: str
    about: str
    topics: tuple[str, ...]
    columns: tuple[Column, ...]
    rows: Callable[[Record, Event], Iterator[Any]]


def column(name: str, kind: Kind, value: str | Callable[[Any], Any] | None = None) -> Column:
    """A column; `value` is the path of an attribute, a function of a row, or none: then the
    attribute of the column's name."""
    found = attrgetter(name) if value is None else value
    return Column(name, kind, attrgetter(found) if isinstance(found, str) else found)


def of_event(*names: tuple[str, Kind]) -> tuple[Column, ...]:
    """Columns of what an event says under their names, where rows are `On`."""
    return tuple(column(name, kind, f"event.{name}") for name, kind in names)


@dataclass(frozen=True, slots=True)
class On:
    """An event and where it lies."""

    record: Record
    event: Any


def events(record: Record, event: Event) -> Iterator[On]:
    """A row per event."""
    yield On(record, event)


def as_json(value: Any) -> str:
    """What has no columns of its own."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


SAID = (
    *of_event(("id", "text"), ("agent", "text"), ("created_at", "time")),
    column("partition", "whole", "record.partition"),
    column("place", "whole", "record.offset"),
)
"""What every event has; `place` is its offset."""
