"""Questions in SQL to a log: its tables and views in DuckDB, which reaches nothing else.

question -> the tables that it names, and those of the views it names -> DuckDB -> Arrow
"""

import re
from collections.abc import Iterator
from typing import Any

from bus.log import Log
from observability.query.tables import TABLES
from observability.query.views import VIEWS

_WORD = re.compile(r"\w+")
_INCOMING = "incoming"
_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": False,
    "temp_directory": "",
}
"""No files, no network, no extensions; nothing is written to a disk when memory is short."""


class QueryRefused(Exception):
    """A question that has no answer here, in one sentence."""


class Query:
    """Answers questions to one log. What a question needs is read when it is first needed, and kept
    as it was then. Not to be shared by threads."""

    def __init__(self, log: Log) -> None:
        import duckdb

        from observability.query.arrow import Reading

        self._reading = Reading(log)
        self._loaded: set[str] = set()
        self._duckdb = duckdb
        self._database = duckdb.connect(":memory:", config=_SETTINGS)
        self._database.execute("SET python_enable_replacements = false")
        self._database.execute("SET lock_configuration = true")
        self._make()

    @property
    def num_unreadable(self) -> int:
        """Records that no answer has seen."""
        return self._reading.num_unreadable

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
            self._load(self._needed(statements[0].query))
            return self._database.sql(statements[0]).to_arrow_table()
        except self._duckdb.Error as error:
            raise QueryRefused(self._sentence(error)) from None

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
        wanted = [TABLES[name] for name in TABLES if name in names - self._loaded]
        for table, batch in self._reading.batches(wanted):
            self._database.register(_INCOMING, batch)
            self._database.execute(f"INSERT INTO {table.name} FROM {_INCOMING}")
            self._database.unregister(_INCOMING)
        self._loaded |= {table.name for table in wanted}

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


def _about() -> dict[str, str]:
    tables = {name: table.about for name, table in TABLES.items()}
    return tables | {name: about for name, (about, _) in VIEWS.items()}
