"""The file of an index: its tables, connections that read, the one that writes. Knows no log."""

import fcntl
import os
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

FORMAT = 3
"""Of these tables: a file of another one is made anew."""

_TABLES = """
CREATE TABLE meta (run TEXT NOT NULL, format INTEGER NOT NULL, generation INTEGER NOT NULL);
CREATE TABLE place (stream TEXT PRIMARY KEY, next INTEGER NOT NULL, last TEXT NOT NULL);
CREATE TABLE version (
    off INTEGER PRIMARY KEY, number INTEGER NOT NULL, id TEXT NOT NULL UNIQUE, parent INTEGER,
    parent_id TEXT, policy TEXT NOT NULL, time REAL NOT NULL, trained INTEGER NOT NULL,
    dropped INTEGER NOT NULL, format TEXT NOT NULL, metrics TEXT NOT NULL, batch TEXT NOT NULL,
    positions TEXT NOT NULL, learned TEXT
);
CREATE INDEX version_number ON version (number);
CREATE INDEX version_parent ON version (parent_id);
CREATE TABLE fact (
    topic TEXT NOT NULL, off INTEGER NOT NULL, id TEXT NOT NULL, time REAL NOT NULL,
    version INTEGER, body TEXT NOT NULL, PRIMARY KEY (topic, off)
) WITHOUT ROWID;
CREATE TABLE task (
    n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,
    part INTEGER, off INTEGER, aoff INTEGER, joff INTEGER, dtopic TEXT, doff INTEGER,
    time REAL, atime REAL, jtime REAL, agent TEXT, source TEXT, family TEXT, level INTEGER,
    version INTEGER, question TEXT, answer TEXT, prompt INTEGER, proposed_by INTEGER,
    samples INTEGER, counted INTEGER, correct INTEGER, reward REAL, low REAL, high REAL,
    critic TEXT, sampled TEXT, oldest INTEGER, tokens INTEGER, nats REAL, answers INTEGER,
    agreed INTEGER, compared INTEGER, judges TEXT, consumed INTEGER, consumed_off INTEGER
);
CREATE INDEX task_judged ON task (part, joff);
CREATE INDEX task_asked ON task (part, off);
CREATE INDEX task_prompt ON task (prompt);
CREATE INDEX task_version ON task (version);
-- What is counted over all tasks stands in an index of its own: rows are far larger.
CREATE INDEX task_counted ON task (
    off, part, joff, aoff, doff, dtopic, family, level, source, critic, counted, correct,
    time, atime, jtime, tokens
);
CREATE TABLE swap (
    version INTEGER NOT NULL, agent TEXT NOT NULL, time REAL NOT NULL, part INTEGER NOT NULL,
    joff INTEGER NOT NULL, PRIMARY KEY (version, agent)
) WITHOUT ROWID;
"""
# A file that is made anew has no generation of the one before.
_META = "INSERT INTO meta VALUES (?, ?, random() >> 1)"
_BUSY_SECONDS = 20.0


class Store:
    """The index of a run, in `folder` where that can be written, else in a folder that goes with
    the process. Several processes may share the file. `damage` is what whoever reads found."""

    def __init__(self, folder: Path, run: str) -> None:
        self._run = run
        self._aside: tempfile.TemporaryDirectory[str] | None = None
        self._idle: list[sqlite3.Connection] = []
        self.damage: sqlite3.DatabaseError | None = None
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.path = folder / "dashboard.sqlite"
            self.writer = self._begun()
        except (OSError, sqlite3.Error):
            self._aside = tempfile.TemporaryDirectory(prefix="evolvent-")
            self.path = Path(self._aside.name) / "dashboard.sqlite"
            self.writer = self._begun()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction of the one thread that writes."""
        self.writer.execute("BEGIN IMMEDIATE")
        try:
            yield self.writer
        except BaseException:
            self.writer.execute("ROLLBACK")
            raise
        self.writer.execute("COMMIT")

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """What a SELECT answers, from any thread."""
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._connected()
        try:
            return connection.execute(sql, values).fetchall()
        except sqlite3.DatabaseError as error:
            self.damage = error if is_damage(error) else self.damage
            raise
        finally:
            self._idle.append(connection)

    @property
    def generation(self) -> int:
        """Another one whenever it was cleared or made anew, by whatever process."""
        return generation_of(self.writer)

    def clear(self) -> int:
        """Forget all of it: the log is another one. The generation from now on."""
        with self.writing() as connection:
            for table in ("place", "version", "fact", "task", "swap"):
                connection.execute(f"DELETE FROM {table}")
            connection.execute("UPDATE meta SET generation = generation + 1")
            return generation_of(connection)

    def remove(self) -> None:
        """Close it, and the file is not there any more: it is damaged."""
        self.close()
        with suppress(OSError), _held(self.path.with_suffix(".lock")):
            self._remove()

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()
        self.writer.close()
        if self._aside is not None:
            self._aside.cleanup()

    def _connected(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA cache_size = -8000")
        return connection

    def _begun(self) -> sqlite3.Connection:
        """The one that writes; of several processes one after the other begins. A file that is no
        database any more is made anew."""
        with _held(self.path.with_suffix(".lock")):
            try:
                return self._opened()
            except sqlite3.DatabaseError as error:
                if not is_damage(error):
                    raise
                self._remove()
                return self._opened()

    def _opened(self) -> sqlite3.Connection:
        connection = self._connected()
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute("BEGIN IMMEDIATE")
            if not self._is_ours(connection):
                # In place: whoever has the file open sees that it is another one.
                for table in _tables(connection):
                    connection.execute(f'DROP TABLE "{table}"')
                for statement in _TABLES.split(";"):
                    connection.execute(statement)
                connection.execute(_META, (self._run, FORMAT))
            connection.execute("COMMIT")
        except BaseException:
            connection.close()
            raise
        return connection

    def _is_ours(self, connection: sqlite3.Connection) -> bool:
        if "meta" not in _tables(connection):
            return False
        found = connection.execute("SELECT run, format FROM meta").fetchone()
        return bool(found == (self._run, FORMAT))

    def _remove(self) -> None:
        for end in ("", "-wal", "-shm"):
            Path(f"{self.path}{end}").unlink(missing_ok=True)


@contextmanager
def _held(path: Path) -> Iterator[None]:
    """Hold a file, which is made, once no other does."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _tables(connection: sqlite3.Connection) -> list[str]:
    found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    return [name for (name,) in found if not name.startswith("sqlite_")]


def generation_of(connection: sqlite3.Connection) -> int:
    [generation] = connection.execute("SELECT generation FROM meta").fetchone()
    return int(generation)


def is_damage(error: Exception) -> bool:
    """Whether a file is no database any more: one that is only held is whole."""
    return isinstance(error, sqlite3.DatabaseError) and not isinstance(
        error, sqlite3.OperationalError
    )
