"""Finds events by their ids: an index on this machine's disk, of what the journal tells. It is a
cache: brought up to date by every search, and made anew when it is missing.
"""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

import apsw

from bus.groups import Stream
from bus.kafka.journal.journal import Journal
from bus.kafka.journal.places import Scanner

BATCH = 20_000

_SCHEMA = """
PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;
CREATE TABLE IF NOT EXISTS head (topic TEXT, part INTEGER, next INTEGER, PRIMARY KEY (topic, part))
    WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS place (id TEXT PRIMARY KEY, topic TEXT, part INTEGER, off INTEGER)
    WITHOUT ROWID;
"""

Row = tuple[str, str, int, int]


def cache_folder() -> Path:
    """Where this user keeps what can be made again."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "evolvent" / "ids"


class Ids:
    """Of one log. `name` says which journal it is."""

    def __init__(self, journal: Journal, scanner: Scanner, name: str) -> None:
        self._journal, self._scanner, self._name = journal, scanner, name
        self._file: apsw.Connection | None = None
        self._turn = asyncio.Lock()

    async def find(self, event_id: str) -> tuple[Stream, int] | None:
        """The partition and the offset of an event; raises `BusError`."""
        async with self._turn:
            if self._file is None:
                self._file = await asyncio.to_thread(_opened, self._name)
            await self._update(self._file)
            query = "SELECT topic, part, off FROM place WHERE id = ?"
            for topic, part, offset in self._file.execute(query, (event_id,)):
                return (str(topic), int(str(part))), int(str(offset))
        return None

    async def _update(self, file: apsw.Connection) -> None:
        position = file.pragma("user_version")
        if position > self._journal.state.position:
            position = 0
        heads: dict[Stream, int] = {}
        if position:
            heads = {(topic, part): at for topic, part, at in file.execute("SELECT * FROM head")}
        else:
            file.execute("DELETE FROM place; DELETE FROM head").fetchall()
        rows: list[Row] = []
        async for at, value in self._scanner.values(position):
            for stream, places, _ in self._scanner.effects(at, value):
                first = heads.get(stream, 0)
                heads[stream] = first + len(places.ids)
                rows += [
                    (event_id, *stream, first + number)
                    for number, event_id in enumerate(places.ids)
                    if event_id
                ]
            position = at + 1
            if len(rows) >= BATCH:
                await asyncio.to_thread(_keep, file, rows, heads, position)
                rows = []
        await asyncio.to_thread(_keep, file, rows, heads, position)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def _opened(name: str) -> apsw.Connection:
    """One process at a time has the cache; another takes a file of its own for the while."""
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        connection = apsw.Connection(str(folder / f"{name}.sqlite"))
        connection.pragma("locking_mode", "EXCLUSIVE")
        connection.execute(_SCHEMA).fetchall()
        connection.execute("BEGIN IMMEDIATE; COMMIT").fetchall()
    except (OSError, apsw.Error):
        # SQLite's own temporary file, which goes with the process.
        connection = apsw.Connection("")
        connection.execute(_SCHEMA).fetchall()
    return connection


def _keep(
    file: apsw.Connection, rows: Sequence[Row], heads: dict[Stream, int], position: int
) -> None:
    with file:
        file.executemany("INSERT OR IGNORE INTO place VALUES (?, ?, ?, ?)", sorted(rows))
        file.executemany(
            "INSERT OR REPLACE INTO head VALUES (?, ?, ?)",
            [(*stream, head) for stream, head in heads.items()],
        )
        file.pragma("user_version", position)
