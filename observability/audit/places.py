"""Where every event lies, by its id: in a file of its own that ends with the audit, so that memory
does not grow with the log. Knows no log.
"""

import sqlite3
from typing import NamedTuple

_CACHE_KIB = 4 * 1024


class Place(NamedTuple):
    """`at` is where an event lies; `seconds` when it is dated, `commit` when it was committed among
    others (0: nothing says it)."""

    at: int
    seconds: int
    commit: int


class Places:
    def __init__(self) -> None:
        # Without a name SQLite makes a file that is nowhere to be seen, and deletes it.
        self._file = sqlite3.connect("", isolation_level=None)
        for setting in ("journal_mode=OFF", "synchronous=OFF", f"cache_size=-{_CACHE_KIB}"):
            self._file.execute(f"PRAGMA {setting}")
        self._file.execute(
            "CREATE TABLE place (id BLOB PRIMARY KEY, at INTEGER, seconds INTEGER, "
            "moment INTEGER) WITHOUT ROWID"
        )
        self._file.execute("BEGIN")

    def add(self, identity: bytes, place: Place) -> Place:
        """Where an event was seen first: here, unless its id is known already."""
        done = self._file.execute(
            "INSERT INTO place VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", (identity, *place)
        )
        return place if done.rowcount == 1 else self.find(identity) or place

    def find(self, identity: bytes) -> Place | None:
        query = "SELECT at, seconds, moment FROM place WHERE id = ?"
        row = self._file.execute(query, (identity,)).fetchone()
        return None if row is None else Place(*row)

    def close(self) -> None:
        self._file.close()
