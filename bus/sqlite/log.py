"""Records in the `log` table: appended under dense offsets, read back against their checksum.
Knows no group.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple
from zlib import crc32

import apsw
from pydantic_core import from_json

from bus.errors import BusError, Trimmed
from bus.events import Event
from bus.groups import Stream
from bus.records import Record, encoded
from bus.sqlite.ids import Ids
from bus.sqlite.starts import starts
from bus.topics import Topic

PAGE_RECORDS = 256
ROWS_PER_STEP = 200
PAGE_BYTES = 32 * 1024 * 1024

_COLUMNS = "topic, part, off, event_id, key, headers, value, crc"
_OUR_ID = re.compile("[0-9a-f]{32}")
_TEXT, _PLACE = bytes(16) + b"\x01", bytes(16) + b"\x02"
_ROW = "(?,?,?,?,?,?,?,?)"
_WIDTH = 8
_PAGE = f"SELECT {_COLUMNS} FROM log WHERE topic = ? AND part = ? AND off >= ? ORDER BY off LIMIT ?"


class Entry(NamedTuple):
    """An event ready to be appended; without an id, `event_id` is empty."""

    topic: str
    partition: int
    event_id: bytes
    key: str
    headers: str
    value: bytes


def to_entries(events: Iterable[Event], topics: Mapping[str, Topic]) -> list[Entry]:
    """Raises `BusError` for a topic that the log does not have."""
    return [
        Entry(topic, partition, bytes.fromhex(event.id), key, _text(headers), value)
        for event, topic, partition, key, headers, value in encoded(events, topics)
    ]


def as_entry(record: Record) -> Entry:
    """A record of another log."""
    identity, text = identity_of(record.event_id), _text(record.headers)
    return Entry(record.topic, record.partition, identity, record.key, text, record.value)


def are_durable(entries: Iterable[Entry], topics: Mapping[str, Topic]) -> bool:
    """Whether the commit of these must be on the disk before anybody sees it."""
    return any(entry.topic in topics and topics[entry.topic].durable for entry in entries)


def _text(headers: Mapping[str, str]) -> str:
    return json.dumps(headers, separators=(",", ":"))


def _headers(text: str) -> Any:
    try:
        # Values hardly ever come again: a memory of them would only grow.
        return from_json(text, cache_strings="keys")
    except ValueError:
        # What other programs write may have characters that only this one reads.
        return json.loads(text)


def identity_of(event_id: str) -> bytes:
    """An id as the column `event_id` holds it: 16 bytes for those of our events; other programs
    may write any text."""
    if _OUR_ID.fullmatch(event_id):
        return bytes.fromhex(event_id)
    return _TEXT + event_id.encode() if event_id else b""


def _nameless(topic: str, part: int, off: int) -> bytes:
    """What the column holds for a record without an id: no record has it twice."""
    return _PLACE + f"{topic}/{part}/{off}".encode()


def checksum(topic: str, part: int, off: int, key: str, headers: str, value: bytes) -> int:
    """Covers the position too: a record that moved is a damaged record."""
    sizes = f"{topic} {part} {off} {len(key)} {len(headers)} {key}{headers}"
    return crc32(value, crc32(sizes.encode()))


def append(connection: apsw.Connection, ids: Ids, entries: list[Entry]) -> int:
    """Append inside the caller's transaction; how many were new."""
    heads: dict[Stream, int] = {}
    rows: list[Any] = []
    for topic, part, event_id, key, headers, value in _unknown(ids, entries):
        stream = (topic, part)
        off = heads.get(stream)
        if off is None:
            off = head_of(connection, stream)
        heads[stream] = off + 1
        crc = checksum(topic, part, off, key, headers, value)
        identity = event_id or _nameless(topic, part, off)
        rows += (topic, part, off, identity, key, headers, value, crc)
    # Each step of a statement hands Python's lock to another thread and waits to get it back:
    # many rows in one step keep readers and the writer out of each other's way.
    for start in range(0, len(rows), ROWS_PER_STEP * _WIDTH):
        chunk = rows[start : start + ROWS_PER_STEP * _WIDTH]
        values = ",".join([_ROW] * (len(chunk) // _WIDTH))
        connection.execute(f"INSERT INTO log ({_COLUMNS}) VALUES {values}", chunk)
    for (topic, part), head in heads.items():
        connection.execute(
            "UPDATE head SET next = ? WHERE topic = ? AND part = ?", (head, topic, part)
        )
    ids.fill(len(rows) // _WIDTH)
    return len(rows) // _WIDTH


def _unknown(ids: Ids, entries: list[Entry]) -> list[Entry]:
    """The entries whose ids are not known, each once."""
    fresh: dict[bytes | int, Entry] = {}
    for number, entry in enumerate(entries):
        fresh.setdefault(entry.event_id or number, entry)
    for known in ids.known([known for known in fresh if isinstance(known, bytes)]):
        del fresh[known]
    return list(fresh.values())


def head_of(connection: apsw.Connection, stream: Stream) -> int:
    row = connection.execute("SELECT next FROM head WHERE topic = ? AND part = ?", stream).get
    if row is None:
        raise BusError(f"There is no partition {stream[0]}/{stream[1]} on this log.")
    return int(row)


def read_page(
    connection: apsw.Connection, stream: Stream, start: int, limit: int = PAGE_RECORDS
) -> list[Record]:
    """The records from `start` on, as many as a page holds; raises `BusError` on damage."""
    records: list[Record] = []
    size = 0
    for row in connection.execute(_PAGE, (*stream, start, min(limit, PAGE_RECORDS))):
        if not records and row[2] == (first := starts(connection).get(stream, 0)) > start:
            raise Trimmed(*stream, first)
        if row[2] != start + len(records):
            raise damaged(*stream, start + len(records), "the record is missing")
        records.append(to_record(row))
        size += len(row[6])
        if size >= PAGE_BYTES:
            break
    return records


def find_row(connection: apsw.Connection, ids: Ids, event_id: str) -> Record | None:
    identity = identity_of(event_id)
    query = f"SELECT {_COLUMNS} FROM log WHERE seq = ? AND event_id = ?"
    for row in connection.execute(query, (ids.find(identity), identity)):
        return to_record(row)
    return None


def to_record(row: tuple[Any, ...]) -> Record:
    topic, part, off, event_id, key, text, value, crc = row
    if not (type(key) is type(text) is str and type(value) is bytes):
        raise damaged(topic, part, off, "a column has the wrong type")
    if checksum(topic, part, off, key, text, value) != crc:
        raise damaged(topic, part, off, "its checksum is wrong")
    headers = _headers(text)
    said = headers.get("ce_id", "")
    if said != event_id.hex() and event_id != (identity_of(said) or _nameless(topic, part, off)):
        raise damaged(topic, part, off, "its id is wrong")
    return Record(topic=topic, partition=part, offset=off, key=key, headers=headers, value=value)


def check_end(connection: apsw.Connection, stream: Stream, needed: int = 0) -> int:
    """The head of a partition, which must be where its last record ends, beyond `needed`."""
    head = head_of(connection, stream)
    last = connection.execute("SELECT max(off) FROM log WHERE topic = ? AND part = ?", stream).get
    end = 0 if last is None else last + 1
    if end < max(head, needed):
        raise damaged(*stream, end, f"it went back from {max(head, needed)} to {end} records")
    return head


def all_heads(connection: apsw.Connection) -> Iterator[tuple[Stream, int]]:
    for topic, part, head in connection.execute("SELECT topic, part, next FROM head"):
        yield (topic, part), head


def damaged(topic: str, part: int, off: int, how: str) -> BusError:
    return BusError(
        f"The log is damaged at {topic}/{part}/{off}: {how}; restore it from a copy, "
        "nothing was repaired."
    )
