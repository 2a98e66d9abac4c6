"""A log as schema 1 had it: made here, event by event, from what a bus of today wrote."""

from pathlib import Path
from typing import Any

import apsw

FORMER = """
CREATE TABLE log (
    seq INTEGER PRIMARY KEY,
    topic TEXT NOT NULL, part INTEGER NOT NULL, off INTEGER NOT NULL,
    event_id BLOB NOT NULL UNIQUE,
    key TEXT NOT NULL, headers TEXT NOT NULL, value BLOB NOT NULL, crc INTEGER NOT NULL,
    UNIQUE (topic, part, off)
);
INSERT INTO log SELECT * FROM new.log;
CREATE TABLE head (
    topic TEXT NOT NULL, part INTEGER NOT NULL, next INTEGER NOT NULL,
    PRIMARY KEY (topic, part)
) WITHOUT ROWID;
INSERT INTO head SELECT * FROM new.head;
CREATE TABLE cursor (
    grp TEXT NOT NULL, topic TEXT NOT NULL, part INTEGER NOT NULL,
    base INTEGER NOT NULL DEFAULT 0, done TEXT NOT NULL DEFAULT '',
    epoch INTEGER NOT NULL DEFAULT 0, owner TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (grp, topic, part)
) WITHOUT ROWID;
INSERT INTO cursor SELECT * FROM new.cursor;
CREATE TABLE member (
    grp TEXT NOT NULL, member TEXT NOT NULL, instance TEXT NOT NULL,
    topics TEXT NOT NULL, exclusive INTEGER NOT NULL, lease_until REAL NOT NULL,
    PRIMARY KEY (grp, member)
) WITHOUT ROWID;
CREATE TABLE generation (grp TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO generation SELECT * FROM new.generation;
"""


def make_former(path: Path) -> None:
    """The log at `path`, which nobody has open, becomes one of schema 1."""
    new = path.rename(path.with_name("new.db"))
    connection = apsw.Connection(str(path))
    connection.pragma("journal_mode", "WAL")
    connection.execute("ATTACH ? AS new", (str(new),))
    connection.execute(f"BEGIN; {FORMER} COMMIT; DETACH new")
    connection.pragma("application_id", 0x65766C76)
    connection.pragma("user_version", 1)
    connection.close()
    new.unlink()


def schema_of(path: Path) -> tuple[int, list[tuple[str, str]], str]:
    """Its number, its tables and indices, and what SQLite says of all its pages."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        named: list[Any] = connection.execute(
            "SELECT name, coalesce(sql, '') FROM sqlite_schema ORDER BY name"
        ).fetchall()
        return connection.pragma("user_version"), named, connection.pragma("integrity_check")
    finally:
        connection.close()
