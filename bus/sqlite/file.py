"""The SQLite file of a log: its schema, how it is opened, and its errors in plain sentences.
Knows no event and no group.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

import apsw

from bus.errors import BusError
from bus.sqlite.neighbours import begin_writing, holder
from bus.topics import Topic, co_partitioned, partitions_on

Synchronous = Literal["NORMAL", "FULL"]

APPLICATION_ID = 0x65766C76
SCHEMA_VERSION = 2
BUSY_SECONDS = 0.5
"""How long one try to get a lock takes; who tries again is `neighbours`."""
READ_SECONDS = 15.0
"""A reader waits for nobody but who repairs the file after a crash."""
WRITER_CACHE_KIB = 8 * 1024
"""Holds what a writer asks of `ids`, and writes of it."""
READER_CACHE_KIB = 4 * 1024
CHECKPOINT_PAGES = 4_000
WAL_LIMIT_BYTES = 64 * 1024 * 1024

SCHEMA_IDS = """
CREATE TABLE ids (
    segment INTEGER NOT NULL, event_id BLOB NOT NULL, seq INTEGER NOT NULL,
    PRIMARY KEY (segment, event_id, seq)
) WITHOUT ROWID;
"""
SCHEMA = (
    """
CREATE TABLE log (
    seq INTEGER PRIMARY KEY,
    topic TEXT NOT NULL, part INTEGER NOT NULL, off INTEGER NOT NULL,
    event_id BLOB NOT NULL,
    key TEXT NOT NULL, headers TEXT NOT NULL, value BLOB NOT NULL, crc INTEGER NOT NULL,
    UNIQUE (topic, part, off)
);
CREATE TABLE head (
    topic TEXT NOT NULL, part INTEGER NOT NULL, next INTEGER NOT NULL,
    PRIMARY KEY (topic, part)
) WITHOUT ROWID;
CREATE TABLE cursor (
    grp TEXT NOT NULL, topic TEXT NOT NULL, part INTEGER NOT NULL,
    base INTEGER NOT NULL DEFAULT 0, done TEXT NOT NULL DEFAULT '',
    epoch INTEGER NOT NULL DEFAULT 0, owner TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (grp, topic, part)
) WITHOUT ROWID;
CREATE TABLE member (
    grp TEXT NOT NULL, member TEXT NOT NULL, instance TEXT NOT NULL,
    topics TEXT NOT NULL, exclusive INTEGER NOT NULL, lease_until REAL NOT NULL,
    PRIMARY KEY (grp, member)
) WITHOUT ROWID;
CREATE TABLE generation (grp TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;
"""
    + SCHEMA_IDS
)


@contextmanager
def plain_errors(path: Path) -> Iterator[None]:
    """Raises SQLite's errors as `BusError`."""
    try:
        yield
    except apsw.Error as error:
        raise explain(error, path) from error


def explain(error: apsw.Error, path: Path) -> BusError:
    """What a person can do about an error of SQLite."""
    sentences: tuple[tuple[type[apsw.Error], str], ...] = (
        (
            apsw.FullError,
            f"The disk of {path} is full: free some space and start again; "
            "everything committed before is safe.",
        ),
        (apsw.ReadOnlyError, f"{path} cannot be written: make the file and its folder writable."),
        (apsw.NotADBError, f"{path} is not a log of evolvent: name another file."),
        (
            apsw.CorruptError,
            f"The log {path} is damaged ({error}): restore it from a copy; nothing was repaired.",
        ),
        (
            apsw.BusyError,
            f"{path} is held by {holder(path)}: let it go on, or end it; whatever waits goes on.",
        ),
        (
            apsw.CantOpenError,
            f"{path} cannot be opened: check that its folder exists and that you may write there.",
        ),
        (
            apsw.IOError,
            f"The disk of {path} failed ({error}): check its free space and its health; "
            "everything committed before is safe.",
        ),
    )
    for kind, sentence in sentences:
        if isinstance(error, kind):
            return BusError(sentence)
    return BusError(f"The log {path} cannot be used: {type(error).__name__}: {error}.")


def open_writer(
    path: Path,
    topics: Mapping[str, Topic],
    synchronous: Synchronous,
    create: bool,
    patience_seconds: float | None,
    partitions: int | None = None,
) -> apsw.Connection:
    """The writing connection to a log whose schema is in place, on the disk too. A new one gets
    `partitions` of each co-partitioned topic, None for as many as it says."""
    if not path.exists() and not create:
        raise BusError(f"There is no log at {path}: check the path, or start a run there first.")
    flags = apsw.SQLITE_OPEN_READWRITE | (apsw.SQLITE_OPEN_CREATE if create else 0)
    with plain_errors(path):
        connection = apsw.Connection(str(path), flags=flags)
        try:
            connection.set_busy_timeout(int(BUSY_SECONDS * 1000))
            if os.path.getsize(path):
                _check_identity(connection, path)
            _use_wal(connection)
            connection.pragma("synchronous", "FULL")
            connection.pragma("temp_store", "MEMORY")
            connection.pragma("cache_size", -WRITER_CACHE_KIB)
            connection.wal_autocheckpoint(CHECKPOINT_PAGES)
            connection.pragma("journal_size_limit", WAL_LIMIT_BYTES)
            with connection_immediate(connection, path, patience_seconds):
                if not _check_identity(connection, path):
                    connection.execute(SCHEMA)
                    connection.pragma("application_id", APPLICATION_ID)
                    connection.pragma("user_version", SCHEMA_VERSION)
                _add_topics(connection, topics_of(connection, topics, partitions), path)
            # That there is a log outlives a power cut.
            _sync(path.absolute().parent)
            connection.pragma("synchronous", synchronous)
        except BaseException:
            connection.close()
            raise
    return connection


@contextmanager
def connection_immediate(
    connection: apsw.Connection,
    path: Path,
    patience_seconds: float | None,
    is_closing: Callable[[], bool] = lambda: False,
) -> Iterator[None]:
    """One transaction that writes, once the neighbours let it: committed at the end, rolled back
    on an error."""
    begin_writing(connection, path, patience_seconds, is_closing)
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # A full disk makes SQLite roll back by itself.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def open_reader(path: Path) -> apsw.Connection:
    """A connection that never writes, nor checkpoints."""
    if not path.exists():
        raise BusError(f"There is no log at {path}: check the path, or start a run there first.")
    with plain_errors(path):
        try:
            return _open_reader(path, "mode=ro")
        except (apsw.CantOpenError, apsw.ReadOnlyError):
            wal = Path(f"{path}-wal")
            # Without a write-ahead log nobody is writing: the file alone is everything.
            if wal.exists() and wal.stat().st_size:
                raise
            return _open_reader(path, "mode=ro&immutable=1")


def _open_reader(path: Path, options: str) -> apsw.Connection:
    flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    connection = apsw.Connection(f"{path.absolute().as_uri()}?{options}", flags=flags)
    try:
        connection.set_busy_timeout(int(READ_SECONDS * 1000))
        connection.pragma("cache_size", -READER_CACHE_KIB)
        if not _check_identity(connection, path):
            raise BusError(f"The log {path} is empty: start a run there first.")
    except BaseException:
        connection.close()
        raise
    return connection


def _use_wal(connection: apsw.Connection) -> None:
    """SQLite's busy handler does not cover the change to WAL when several processes do it."""
    until = time.monotonic() + READ_SECONDS
    while True:
        try:
            connection.pragma("journal_mode", "WAL")
            return
        except apsw.BusyError:
            if time.monotonic() > until:
                raise
            time.sleep(0.01)


def flush(path: Path) -> None:
    """Wait until all that is committed is on the disk, whoever committed it: it lies in the
    write-ahead log, or SQLite has brought it safely into the file. The file itself must not be
    opened here, which would end this process's locks on it."""
    with suppress(FileNotFoundError):
        _sync(Path(f"{path}-wal"))
    _sync(path.absolute().parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check_identity(connection: apsw.Connection, path: Path) -> bool:
    """Whether the schema is there; raises `BusError` for a file that is not ours to use."""
    application = connection.pragma("application_id")
    version = connection.pragma("user_version")
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").get
    if not application and not version and not tables:
        return False
    if application != APPLICATION_ID:
        raise BusError(f"{path} is a SQLite file of another program: name another file.")
    if version > SCHEMA_VERSION:
        raise BusError(
            f"{path} was written by a newer evolvent (schema {version}, this one reads "
            f"{SCHEMA_VERSION}): install that version."
        )
    return True


def topics_of(
    connection: apsw.Connection, topics: Mapping[str, Topic], new: int | None = None
) -> dict[str, Topic]:
    """`topics` with the partitions that they have in the file, or `new` where it has none."""
    return co_partitioned(topics, partitions_on(_partitions(connection), topics) or new)


def _partitions(connection: apsw.Connection) -> dict[str, int]:
    return dict(connection.execute("SELECT topic, count(*) FROM head GROUP BY topic"))


def _add_topics(connection: apsw.Connection, topics: Mapping[str, Topic], path: Path) -> None:
    partitions = _partitions(connection)
    for topic in topics.values():
        if partitions.setdefault(topic.name, topic.partitions) != topic.partitions:
            raise BusError(
                f"Topic {topic.name} has {partitions[topic.name]} partitions in {path} and "
                f"{topic.partitions} in this program: the number of a log cannot change."
            )
    connection.executemany(
        "INSERT INTO head VALUES (?, ?, 0) ON CONFLICT DO NOTHING",
        [(topic.name, part) for topic in topics.values() for part in range(topic.partitions)],
    )
