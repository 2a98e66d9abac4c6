"""Which events are on the log, by their ids. Knows no record and no group.

    newest, up to 4,095 records    memory of who asks, read from `log` as it grows
    all that came before           table `ids`, in segments of 131,072 records, filled from `log`
                                   by blocks of 4,096, each in the order of its ids

Ids are hashes. In one index of all of them each new one would read and write a page of its own;
so the part that is written stays small, and a block touches each of its pages once.
"""

from collections.abc import Collection
from typing import Any

import apsw

SEGMENT_BITS = 17
BLOCK_BITS = 12
NUM_REMEMBERED = 1 << SEGMENT_BITS
"""An event is not appended again whose id is among so many newest records, or in their segment."""
FORMER_SCHEMA = 1
"""Has no table `ids`, but one index of all ids."""
IDS_PER_STEP = 200

_FIND = (
    "WITH RECURSIVE newest(segment) AS "
    "(VALUES (?) UNION ALL SELECT segment - 1 FROM newest WHERE segment > 0) "
    "SELECT seq FROM newest CROSS JOIN ids USING (segment) WHERE event_id = ? LIMIT 1"
)
_FILL = (
    f"INSERT INTO ids SELECT seq >> {SEGMENT_BITS}, event_id, seq FROM log "
    "WHERE seq >= ? AND seq < ? ORDER BY 1, 2"
)


class Ids:
    """What one connection knows of them; each call is made inside a transaction."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._newest: dict[bytes, int] = {}
        self._last = 0
        # What was read of a commit that was not made is not on the log.
        connection.set_rollback_hook(self._forget)

    def known(self, wanted: Collection[bytes]) -> set[bytes]:
        """Those of `wanted` that are not to be appended again."""
        if self._is_former():
            return self._among(wanted, "log WHERE")
        self._catch_up()
        segment = self._last >> SEGMENT_BITS
        return (self._newest.keys() & wanted) | self._among(
            wanted, "ids WHERE segment IN (?, ?) AND", segment, segment - 1
        )

    def find(self, event_id: bytes) -> int | None:
        """The `seq` of the newest record of an event."""
        if self._is_former():
            query = "SELECT seq FROM log WHERE event_id = ?"
            found: int | None = self._connection.execute(query, (event_id,)).get
            return found
        self._catch_up()
        if event_id in self._newest:
            return self._newest[event_id]
        found = self._connection.execute(_FIND, (self._last >> SEGMENT_BITS, event_id)).get
        return found

    def fill(self, added: int) -> None:
        """Bring blocks that the newest `added` records have made full into their segments."""
        last = last_seq(self._connection)
        if not self._is_former():
            fill(self._connection, (last - added) >> BLOCK_BITS, last >> BLOCK_BITS)

    def _is_former(self) -> bool:
        """A log may be upgraded while others have it open."""
        return bool(self._connection.pragma("user_version") == FORMER_SCHEMA)

    def _among(self, wanted: Collection[bytes], where: str, *segments: int) -> set[bytes]:
        found: set[bytes] = set()
        ids = list(wanted)
        for start in range(0, len(ids), IDS_PER_STEP):
            chunk = ids[start : start + IDS_PER_STEP]
            marks = ",".join("?" * len(chunk))
            query = f"SELECT event_id FROM {where} event_id IN ({marks})"
            rows: Any = self._connection.execute(query, (*segments, *chunk))
            found.update(row[0] for row in rows)
        return found

    def _catch_up(self) -> None:
        last = last_seq(self._connection)
        block = last >> BLOCK_BITS << BLOCK_BITS
        if self._last < block:
            self._newest.clear()
        query = "SELECT event_id, seq FROM log WHERE seq >= ?"
        rows: Any = self._connection.execute(query, (max(self._last + 1, block),))
        self._newest.update(rows)
        self._last = last

    def _forget(self) -> None:
        self._newest.clear()
        self._last = 0


def last_seq(connection: apsw.Connection) -> int:
    return connection.execute("SELECT max(seq) FROM log").get or 0


def fill(connection: apsw.Connection, first: int, end: int) -> None:
    """Bring the blocks [first, end) into their segments."""
    if first < end:
        connection.execute(_FILL, (first << BLOCK_BITS, end << BLOCK_BITS))
