"""A record as a row of a Parquet file, and back, bit for bit. Knows no file.

What people ask by are columns: they are read from headers and body. Headers that follow from them
stand nowhere else; those that do not, and those that are missing, are in `headers`.
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import unquote

import pyarrow as pa

from bus.codec import CONTENT_TYPE, SPECVERSION, TYPE_PREFIX, source_of
from bus.events import Attempt, Evaluation, Event, Judgment, Task
from bus.records import Record

_WORD, _NUMBER = pa.string(), pa.int64()
SCHEMA = pa.schema(
    [
        pa.field("topic", _WORD, nullable=False),
        pa.field("partition", pa.int32(), nullable=False),
        pa.field("offset", _NUMBER, nullable=False),
        pa.field("commit", _NUMBER),
        pa.field("key", _WORD, nullable=False),
        pa.field("id", _WORD),
        pa.field("type", _WORD),
        pa.field("schema", _NUMBER),
        pa.field("time", pa.timestamp("us", tz="UTC")),
        pa.field("run", _WORD),
        pa.field("agent", _WORD),
        pa.field("cause", _WORD),
        pa.field("task_id", _WORD),
        pa.field("version", _NUMBER),
        pa.field("domain", _WORD),
        pa.field("family", _WORD),
        pa.field("level", _NUMBER),
        pa.field("samples", _NUMBER),
        pa.field("tokens", _NUMBER),
        pa.field("reward", pa.float64()),
        pa.field("success", pa.float64()),
        pa.field("held_out", pa.float64()),
        pa.field("headers", _WORD),
        pa.field("attempt_offset", _NUMBER),
        pa.field("attempt_at", _NUMBER),
        pa.field("body", _WORD),
        pa.field("raw", pa.binary()),
    ]
)
"""`commit` grows from commit to commit, where the log knows their order. `body` is the JSON of the
event; in that of a judgment whose attempt lies in the archive, in the same partition at
`attempt_offset`, `null` stands for it, `attempt_at` bytes from the start. What is no text is `raw`
instead."""

REPEATED = ["topic", "partition", "type", "schema", "run", "agent", "version", "domain", "family"]
REPEATED += ["level", "samples"]
"""Columns of few values."""

RANGED = ["partition", "offset", "commit", "schema", "time", "version", "level", "samples"]
RANGED += ["tokens", "reward", "success", "held_out", "attempt_offset"]
"""Columns whose lowest and highest value a reader may skip by."""

NULL = b"null"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_OF_A_TASK = ("task", "attempt", "lesson", "judgment")
_NAME = re.compile("[a-z]+")
_SCHEMA_URN = re.compile(r"urn:evolvent:schema:([a-z]+):(0|[1-9][0-9]{0,8})")
_COUNT = re.compile("0|[1-9][0-9]{0,17}")

ENVELOPE = ["key", "id", "type", "schema", "time", "run", "agent", "cause", "task_id", "version"]
ENVELOPE += ["headers"]
"""Columns that a record's headers follow from."""


class Part(NamedTuple):
    """What of a judgment's body its attempt holds: which record that is, where it begins."""

    offset: int
    at: int
    size: int


class Rows:
    """Rows to be written, column by column."""

    def __init__(self) -> None:
        self._columns: dict[str, list[Any]] = {name: [] for name in SCHEMA.names}
        self.num_bytes = 0

    def __len__(self) -> int:
        return len(self._columns["offset"])

    def add(
        self, record: Record, event: Event | None, commit: int | None, part: Part | None
    ) -> None:
        """`event` is None where the record cannot be read."""
        row = _envelope_of(record) | _asked(event)
        row |= {"topic": record.topic, "partition": record.partition, "offset": record.offset}
        row |= {"commit": commit, "key": record.key}
        body = record.value
        if part is not None:
            body = body[: part.at] + NULL + body[part.at + part.size :]
            row |= {"attempt_offset": part.offset, "attempt_at": part.at}
        row["body" if _is_text(body) else "raw"] = body
        for name, column in self._columns.items():
            column.append(row.get(name))
        self.num_bytes += len(body)

    def table(self) -> pa.Table:
        arrays = [pa.array(self._columns[field.name], field.type) for field in SCHEMA]
        return pa.Table.from_arrays(arrays, schema=SCHEMA)


def headers_of(row: Mapping[str, Any], key: str) -> dict[str, str]:
    """The headers that a row, `time` in microseconds, stands for."""
    headers = _derived(row, key)
    if row["headers"] is not None:
        for name, value in json.loads(row["headers"]).items():
            if value is None:
                headers.pop(name, None)
            else:
                headers[name] = value
    return headers


def columns_of(table: pa.Table, names: Sequence[str]) -> dict[str, list[Any]]:
    """Columns as Python has them: `time` in microseconds, bodies as bytes."""
    found = {}
    for name in names:
        column = table.column(name)
        if name == "time":
            column = column.cast(pa.int64())
        elif name == "body":
            column = column.cast(pa.binary())
        found[name] = column.to_pylist()
    return found


def _envelope_of(record: Record) -> dict[str, Any]:
    """Columns and what else the headers hold."""
    headers = record.headers
    kind, number = _schema_of(headers.get("ce_dataschema", ""))
    run, agent = _source_of(headers.get("ce_source", ""))
    version = headers.get("ce_modelversion", "")
    row: dict[str, Any] = {
        "id": headers.get("ce_id"),
        "type": _type_of(headers.get("ce_type", "")),
        "schema": number,
        "time": _micros_of(headers.get("ce_time", "")),
        "run": run,
        "agent": agent,
        "cause": headers.get("ce_causationid"),
        "version": int(version) if _COUNT.fullmatch(version) else None,
        "headers": None,
    }
    if row["type"] != kind:
        row["schema"] = None
    row["task_id"] = headers.get("ce_correlationid") if row["type"] in _OF_A_TASK else None
    for name in ("id", "cause", "task_id"):
        if row[name] is not None and not row[name].isascii():
            row[name] = None
    derived = _derived(row, record.key)
    if derived != headers:
        rest: dict[str, str | None] = dict.fromkeys(derived.keys() - headers.keys())
        rest |= {name: text for name, text in headers.items() if derived.get(name) != text}
        row["headers"] = json.dumps(rest, separators=(",", ":"), sort_keys=True)
    return row


def _derived(row: Mapping[str, Any], key: str) -> dict[str, str]:
    """The headers that an event with these columns has, as `bus.codec` writes them."""
    found = {"ce_specversion": SPECVERSION, "content-type": CONTENT_TYPE, "ce_subject": key}
    correlation = row["task_id"] or row["id"]
    if row["type"] is not None:
        found["ce_type"] = TYPE_PREFIX + row["type"]
        if row["schema"] is not None:
            found["ce_dataschema"] = f"urn:evolvent:schema:{row['type']}:{row['schema']}"
    if row["id"] is not None:
        found["ce_id"] = row["id"]
        found["ce_correlationid"] = correlation
        found["traceparent"] = f"00-{correlation}-{row['id'][16:]}-01"
    if row["run"] is not None:
        found["ce_source"] = source_of(row["run"], row["agent"])
    if row["time"] is not None:
        found["ce_time"] = _time_of(row["time"])
    if row["cause"] is not None:
        found["ce_causationid"] = row["cause"]
    if row["version"] is not None:
        found["ce_modelversion"] = str(row["version"])
    return found


def _asked(event: Event | None) -> dict[str, Any]:
    """What people ask of the body."""
    if isinstance(event, Evaluation):
        return {"held_out": event.held_out}
    found: dict[str, Any] = {}
    if isinstance(event, Judgment):
        rewards = [verdict.reward for verdict in event.verdicts]
        found = {"reward": sum(rewards) / len(rewards) if rewards else None}
        found["success"] = event.success if event.unaided else None
    attempt = event.attempt if isinstance(event, Judgment) else event
    if isinstance(attempt, Attempt):
        found["samples"] = len(attempt.samples)
        found["tokens"] = sum(sample.num_tokens for sample in attempt.samples)
    return found | _of_task(attempt.task if isinstance(attempt, Attempt) else attempt)


def _of_task(task: Event | None) -> dict[str, Any]:
    if not isinstance(task, Task):
        return {}
    level = task.level if abs(task.level) < 1 << 63 else None
    return {"domain": task.domain, "family": task.family, "level": level}


def _schema_of(urn: str) -> tuple[str | None, int | None]:
    found = _SCHEMA_URN.fullmatch(urn)
    return (found[1], int(found[2])) if found else (None, None)


def _type_of(text: str) -> str | None:
    name = text.removeprefix(TYPE_PREFIX)
    return name if text.startswith(TYPE_PREFIX) and _NAME.fullmatch(name) else None


def _source_of(text: str) -> tuple[str | None, str | None]:
    parts = text.split("/")
    if len(parts) != 3 or parts[0] or not text.isascii():
        return None, None
    try:
        return unquote(parts[1], errors="strict"), unquote(parts[2], errors="strict")
    except UnicodeDecodeError:
        return None, None


def _micros_of(text: str) -> int | None:
    try:
        time = datetime.fromisoformat(text)
        return None if time.tzinfo is None else (time.astimezone(UTC) - _EPOCH) // _MICROSECOND
    except (ValueError, OverflowError):
        return None


def _time_of(micros: int) -> str:
    return (_EPOCH + micros * _MICROSECOND).isoformat()


def _is_text(body: bytes) -> bool:
    if body.isascii():
        return True
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True
