"""A run as tables, for notebooks and scripts: `evolvent.open_run`."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from bus.groups import stream_of
from bus.log import Log
from evolvent.commands.options import on_log
from evolvent.errors import UsageError
from evolvent.run.folder import RunFolder
from observability.archive.place import ArchiveError
from observability.query.query import Query, QueryRefused
from observability.query.tables import TABLES
from observability.query.views import VIEWS

if TYPE_CHECKING:
    from observability.query.archived import ArchivedTables

Looked = TypeVar("Looked")


class OpenRun:
    """The run in a folder, to be read while it goes on or when it has ended: every call sees its
    log as it is then. Raises `UsageError` with a sentence that says what is wrong."""

    def __init__(self, path: Path, archive: str | None = None) -> None:
        self._folder = RunFolder(path, archive)
        self._folder.bus()

    @property
    def run(self) -> str:
        """The name of the run in its events."""
        return self._folder.run_id

    @property
    def settings(self) -> dict[str, Any]:
        """The recipe that it was started with."""
        return self._folder.settings

    @property
    def tables(self) -> dict[str, str]:
        """Every table and view by its name, and what it says."""
        views = {name: about for name, (about, _) in VIEWS.items()}
        return {name: table.about for name, table in TABLES.items()} | views

    def table(self, name: str) -> Any:
        """A whole table or view as a `pyarrow.Table`."""
        if name not in self.tables:
            raise UsageError(f"there is no table {name}: there are {', '.join(self.tables)}")
        return self.query(f"SELECT * FROM {name}")

    def query(self, sql: str) -> Any:
        """The answer to a question in SQL as a `pyarrow.Table`."""
        return self._look(lambda log: answered(self._folder, log, sql)[0])

    def _look(self, look: Callable[[Log], Looked]) -> Looked:
        # The thread of a notebook has an event loop already.
        with ThreadPoolExecutor(1) as aside:
            return aside.submit(on_log, self._folder, look).result()


def query_of(folder: RunFolder, log: Log) -> Query:
    """Raises `UsageError` without the extra that it needs."""
    try:
        return Query(log, _archived(folder, log))
    except ModuleNotFoundError as error:
        raise UsageError(
            f"questions in SQL need the extra `query` ({error}): install it with "
            "`uv sync --extra query`"
        ) from None


def _archived(folder: RunFolder, log: Log) -> "ArchivedTables | None":
    """The tables of the archive that is read, or of one that the log says it is in; None where none
    can be read, since the log has all of it or says so."""
    from observability.archive.log import ArchiveLog
    from observability.query.archived import ArchivedTables

    if isinstance(log, ArchiveLog):
        return ArchivedTables(log.archive, log.heads())
    try:
        mark, archive = folder.newest_archive(log)
    except ArchiveError:
        return None
    return ArchivedTables(
        archive.archive, {stream_of(name): end for name, end in mark.ends.items()}
    )


def answered(folder: RunFolder, log: Log, sql: str) -> tuple[Any, int]:
    """The answer to a question, and how many records could not be read for it. Raises
    `UsageError`."""
    query = query_of(folder, log)
    try:
        return query.ask(sql), query.num_unreadable
    except QueryRefused as error:
        raise UsageError(str(error)) from None
