"""A file of schema 1 becomes one of today: in one transaction, so that whoever is killed meanwhile
has changed nothing. Readers go on. Knows no run.

    UNIQUE is taken from log.event_id -> its index is dropped, its pages are free
        -> table `ids`, segment by segment -> cursors as run lengths -> user_version -> COMMIT
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw

from bus.errors import BusError
from bus.faults import fault_point
from bus.sqlite.file import (
    SCHEMA_IDS,
    SCHEMA_VERSION,
    connection_immediate,
    open_writer,
    plain_errors,
)
from bus.sqlite.groups import cursor_of
from bus.sqlite.ids import BLOCK_BITS, FORMER_SCHEMA, SEGMENT_BITS, fill, last_seq

BYTES_PER_RECORD = 80
"""An id twice: in the write-ahead log, and in the file as if no page of it came free."""

Show = Callable[[str, int, int], None]
"""What is being done, how much of it, and of how much."""


def upgrade(path: Path, show: Show) -> bool:
    """Whether there was something to do. Raises `BusError`, also while somebody writes."""
    with plain_errors(path):
        connection = open_writer(path, {}, "FULL", create=False, patience_seconds=0.0)
        try:
            with connection_immediate(connection, path, patience_seconds=0.0):
                if connection.pragma("user_version") != FORMER_SCHEMA:
                    return False
                last = last_seq(connection)
                _check_room(path, last * BYTES_PER_RECORD)
                _drop_unique(connection)
                _index(connection, last, show)
                _encode_cursors(connection)
                connection.pragma("user_version", SCHEMA_VERSION)
                fault_point("upgrade.committing")
            fault_point("upgrade.committed")
        finally:
            connection.close()
    return True


def _check_room(path: Path, needed: int) -> None:
    free = shutil.disk_usage(path.absolute().parent).free
    if free < needed:
        raise BusError(
            f"The upgrade of {path} needs {needed / 1e6:,.0f} MB of its disk and {free / 1e6:,.0f} "
            "MB are free: make room; nothing was changed."
        )


def _drop_unique(connection: apsw.Connection) -> None:
    """A constraint cannot be dropped, an index can: what SQLite made for the constraint becomes one
    in the schema's text (lang_altertable.html, "Making Other Kinds Of Table Schema Changes")."""
    version = connection.pragma("schema_version")
    connection.pragma("writable_schema", True)
    connection.execute(
        """
        UPDATE sqlite_schema SET
            name = 'log_event_id', sql = 'CREATE UNIQUE INDEX log_event_id ON log (event_id)'
            WHERE name = 'sqlite_autoindex_log_1';
        UPDATE sqlite_schema SET name = 'sqlite_autoindex_log_1'
            WHERE name = 'sqlite_autoindex_log_2';
        UPDATE sqlite_schema SET sql = replace(sql, 'BLOB NOT NULL UNIQUE', 'BLOB NOT NULL')
            WHERE name = 'log';
        """
    )
    connection.pragma("schema_version", version + 1)
    connection.execute("PRAGMA writable_schema = RESET; DROP INDEX log_event_id")


def _index(connection: apsw.Connection, last: int, show: Show) -> None:
    connection.execute(SCHEMA_IDS)
    blocks, step = last >> BLOCK_BITS, 1 << SEGMENT_BITS - BLOCK_BITS
    for first in range(0, blocks, step):
        show("events", first << BLOCK_BITS, last)
        fill(connection, first, min(first + step, blocks))
        fault_point("upgrade.segment")
    show("events", last, last)


def _encode_cursors(connection: apsw.Connection) -> None:
    rows: list[Any] = connection.execute(
        "SELECT grp, topic, part, base, done FROM cursor"
    ).fetchall()
    for group, topic, part, base, text in rows:
        cursor = cursor_of(group, (topic, part), base, text)
        connection.execute(
            "UPDATE cursor SET done = ? WHERE grp = ? AND topic = ? AND part = ?",
            (cursor.encode(), group, topic, part),
        )
