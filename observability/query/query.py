"""Questions in SQL to a log: its tables and views in DuckDB, which reaches nothing else.

question -> the tables that it names, and those of the views it names -> DuckDB -> Arrow

Tables that an archive has are read there, column by column, and what is newer on the log. A column
that no archive has is an error of DuckDB's once it is looked at: then the log is read.
"""

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from bus.groups import Stream
from bus.log import Log
from observability.query.tables import TABLES
from observability.query.views import VIEWS

if TYPE_CHECKING:
    from observability.query.archived import ArchivedTables

_WORD = re.compile(r"\w+")
_INCOMING = "incoming"
_ARCHIVED, _NEWER = "archived_", "newer_"
_NOT_STORED = re.compile(r"no archive has this column of (\w+)")
_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": False,
    "temp_directory": "",
}
"""No files, no network, no extensions; nothing is written to a disk when memory is short."""


class QueryRefused(Exception):
    """A question that has no answer here, in one sentence."""


class Query:
    """Answers questions to one log. What a question needs is read when it is first needed, and kept
    as it was then; what an archive of the log has of its tables is read there. Not to be shared by
    threads."""

    def __init__(self, log: Log, archived: "ArchivedTables | None" = None) -> None:
        import duckdb

        from observability.query.arrow import Reading

        self._reading = Reading(log)
        self._archived = archived
        self._unreadable: dict[str, int] = {}
        self._loaded: set[str] = set()
        self._columnar: set[str] = set()
        self._duckdb = duckdb
        self._database = duckdb.connect(":memory:", config=_SETTINGS)
        self._database.execute("SET python_enable_replacements = false")
        self._database.execute("SET lock_configuration = true")
        self._make()

    @property
    def num_unreadable(self) -> int:
        """Records that no answer has seen."""
        return sum(self._unreadable.values())

    def ask(self, sql: str) -> Any:
        """The answer to one SELECT (or DESCRIBE, SUMMARIZE, EXPLAIN) as an Arrow table.
        Raises `QueryRefused`, `BusError`."""
        try:
            statements = self._database.extract_statements(sql)
            if len(statements) != 1:
                raise QueryRefused(f"{len(statements)} statements were given: ask one question")
            allowed = self._duckdb.StatementType.SELECT, self._duckdb.StatementType.EXPLAIN
            if statements[0].type not in allowed:
                raise QueryRefused("a log is only read: ask with SELECT")
            needed = self._needed(statements[0].query)
            self._load(needed)
            if "try" in _WORD.findall(sql.lower()):
                # It would hide that a column is not there.
                self._read_whole(needed)
            return self._answer(statements[0])
        except self._duckdb.Error as error:
            raise QueryRefused(self._sentence(error)) from None

    def _answer(self, statement: Any) -> Any:
        while True:
            try:
                return self._database.sql(statement).to_arrow_table()
            except self._duckdb.InvalidInputException as error:
                found = _NOT_STORED.search(str(error))
                if found is None or found[1] not in self._columnar:
                    raise
                self._read_whole({found[1]})

    def columns(self) -> Iterator[tuple[str, str, list[tuple[str, str]]]]:
        """Every table and view: its name, what it says, the names and types of its columns."""
        for name, about in _about().items():
            described = self._database.execute(f"DESCRIBE {name}").fetchall()
            yield name, about, [(row[0], row[1]) for row in described]

    def _make(self) -> None:
        """Every table, empty, and every view; which tables each name needs."""
        from observability.query.arrow import schema

        self._needs = {name: {name} for name in TABLES}
        for name, table in TABLES.items():
            self._database.register(_INCOMING, schema(table).empty_table())
            self._database.execute(f"CREATE TABLE {name} AS FROM {_INCOMING}")
            self._database.unregister(_INCOMING)
        for name, (_, select) in VIEWS.items():
            self._needs[name] = self._needed(select)
            self._database.execute(f"CREATE VIEW {name} AS {select}")

    def _needed(self, sql: str) -> set[str]:
        """The tables that a question needs."""
        try:
            named = self._database.get_table_names(sql)
        except self._duckdb.BinderException:
            # It looks for the columns of joins, and knows none: any word may be a name then.
            named = set(_WORD.findall(sql))
        return {table for name in named for table in self._needs.get(name.lower(), ())}

    def _load(self, names: set[str]) -> None:
        wanted = {name for name in TABLES if name in names - self._loaded}
        columnar = {name for name in wanted if self._is_archived(name)}
        self._read(wanted - columnar, "", {})
        if self._archived is not None:
            self._read(columnar, _NEWER, self._archived.ends)
            for topic in {topic for name in columnar for topic in TABLES[name].topics}:
                self._unreadable[topic] += self._archived.unreadable.get(topic, 0)
        for name in columnar:
            self._unite(name)
        self._loaded |= wanted

    def _read(self, names: set[str], into: str, starts: Mapping[Stream, int]) -> None:
        wanted = [table for name, table in TABLES.items() if name in names]
        for table, batch in self._reading.batches(wanted, starts):
            self._database.register(_INCOMING, batch)
            self._database.execute(f"INSERT INTO {into}{table.name} FROM {_INCOMING}")
            self._database.unregister(_INCOMING)
        self._unreadable |= {
            topic: self._reading.unreadable[topic] for table in wanted for topic in table.topics
        }

    def _is_archived(self, name: str) -> bool:
        found = None if self._archived is None else self._archived.table(name)
        if found is not None:
            self._database.register(_ARCHIVED + name, found)
            self._database.execute(f"CREATE TABLE {_NEWER}{name} AS FROM {name}")
        return found is not None

    def _unite(self, name: str) -> None:
        """Make a view of what the archive has of a table and what is newer."""
        from observability.archive.tables import STORED

        stored = {column.name for column in STORED[name].columns}
        columns = [
            f'"{one}"' if one in stored else f"error('{_missing(name)}')::{kind} AS \"{one}\""
            for one, kind, *_ in self._database.execute(f"DESCRIBE {name}").fetchall()
        ]
        self._database.execute(f"DROP TABLE {name}")
        self._database.execute(
            f"CREATE VIEW {name} AS SELECT {', '.join(columns)} FROM {_ARCHIVED}{name} "
            f"UNION ALL FROM {_NEWER}{name}"
        )
        self._columnar.add(name)

    def _read_whole(self, names: set[str]) -> None:
        """Read tables from the log alone."""
        for name in names & self._columnar:
            self._database.execute(f"DROP VIEW {name}")
            self._database.execute(f"CREATE TABLE {name} AS FROM {_NEWER}{name} LIMIT 0")
            self._database.execute(f"DROP TABLE {_NEWER}{name}")
            self._database.unregister(_ARCHIVED + name)
        self._read(names & self._columnar, "", {})
        self._columnar -= names

    def _sentence(self, error: Exception) -> str:
        said = str(error).split("\n")[0].strip()
        if isinstance(error, self._duckdb.PermissionException):
            return f"a question reads the log and nothing else: {said}"
        if isinstance(error, self._duckdb.OutOfMemoryException):
            return f"the answer does not fit into memory: ask of fewer columns ({said})"
        if isinstance(error, self._duckdb.CatalogException) and said.startswith(_NO_TABLE):
            return f"{said.removeprefix(_CATALOG)} There are {', '.join(_about())}"
        return said


_CATALOG = "Catalog Error: "
_NO_TABLE = _CATALOG + "Table with name"


def _missing(name: str) -> str:
    return f"no archive has this column of {name}"


def _about() -> dict[str, str]:
    tables = {name: table.about for name, table in TABLES.items()}
    return tables | {name: about for name, (about, _) in VIEWS.items()}
