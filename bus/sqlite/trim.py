"""Removes the beginning of partitions, some records at a time. Keeps what a group has still to do,
and the last record of each. Knows no archive.
"""

from collections.abc import Mapping
from typing import Any

import apsw

from bus.errors import BusError
from bus.groups import Stream, check_done
from bus.sqlite.groups import group_names, load
from bus.sqlite.ids import BLOCK_BITS, FORMER_SCHEMA, SEGMENT_BITS, last_seq
from bus.sqlite.starts import TABLE, starts

AT_ONCE = 1_000

_SOME = "topic = ? AND part = ? AND off >= ? AND off < ?"


def trim_some(connection: apsw.Connection, below: Mapping[Stream, int]) -> bool:
    """Remove some records that lie below; False when there are none left. Raises `BusError` for
    what a group has still to do, and for a log of a former schema."""
    if connection.pragma("user_version") == FORMER_SCHEMA:
        raise BusError("This log is of an older evolvent: bring it up to date, `evolvent upgrade`.")
    check_done({name: load(connection, name) for name in group_names(connection)}, below)
    connection.execute(TABLE)
    first = starts(connection)
    for stream, end in below.items():
        query = "SELECT max(off) FROM log WHERE topic = ? AND part = ?"
        last = connection.execute(query, stream).get or 0
        low = first.get(stream, 0)
        high = min(end, low + AT_ONCE, last)
        if low < high:
            _remove(connection, stream, low, high)
            return True
    return False


def _remove(connection: apsw.Connection, stream: Stream, low: int, high: int) -> None:
    """Their ids stay known as long as doubles are looked for among them."""
    place, last = (*stream, low, high), last_seq(connection)
    former, block = (last >> SEGMENT_BITS) - 1, last >> BLOCK_BITS << BLOCK_BITS
    rows: Any = connection.execute(
        f"SELECT seq >> {SEGMENT_BITS}, event_id, seq FROM log WHERE {_SOME} ORDER BY 1, 2", place
    ).fetchall()
    connection.executemany(
        "DELETE FROM ids WHERE segment = ? AND event_id = ? AND seq = ?",
        [row for row in rows if row[0] < former],
    )
    # The newest block is known from `log` alone until it is full.
    connection.executemany(
        "INSERT INTO ids VALUES (?, ?, ?)", [row for row in rows if row[2] >= block]
    )
    connection.execute(f"DELETE FROM log WHERE {_SOME}", place)
    connection.execute("INSERT OR REPLACE INTO start VALUES (?, ?, ?)", (*stream, high))
