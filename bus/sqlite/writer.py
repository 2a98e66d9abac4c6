"""The one thread that writes: it commits all that is queued in one transaction. Knows no event.

callers -> queue -> [BEGIN IMMEDIATE, job, job, ..., COMMIT] -> futures, then `changed`

A commit with a durable job is on the disk before anybody sees it: SQLite writes the log through,
with all that was committed before by whatever process, and then shows the commit to readers.
"""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

import apsw

from bus.errors import BusError, Fenced
from bus.faults import fault_point
from bus.sqlite.file import BUSY_SECONDS, WAL_LIMIT_BYTES, connection_immediate, explain
from bus.sqlite.ids import Ids

Result = TypeVar("Result")

MAX_JOBS = 1_000
WAL_CHECK_SECONDS = 1.0
RESTART_MILLISECONDS = 20


@dataclass(slots=True)
class Transaction:
    """What jobs share while one commit is made: `after` runs once it has succeeded, `pending` is
    what an earlier job leaves to a later one, `news` says that readers should look."""

    connection: apsw.Connection
    ids: Ids
    after: list[Callable[[], None]] = field(default_factory=list)
    pending: dict[Any, Any] = field(default_factory=dict)
    news: bool = False


@dataclass(frozen=True, slots=True)
class _Job:
    work: Callable[[Transaction], Any]
    future: "Future[Any]"
    durable: bool


class Writer:
    """`tick` runs every `tick_seconds` in a transaction of its own, `changed` after each commit
    that others want to know of. Neighbours that hold the log are waited for, with
    `patience_seconds` None for ever."""

    def __init__(
        self,
        connection: apsw.Connection,
        path: Path,
        tick: Callable[[Transaction], None],
        tick_seconds: float,
        changed: Callable[[], None],
        patience_seconds: float | None = None,
    ) -> None:
        self._connection, self._path = connection, path
        self._ids = Ids(connection)
        self._patience_seconds = patience_seconds
        self._synchronous: int = connection.pragma("synchronous")
        self._tick, self._tick_seconds = tick, tick_seconds
        self._changed = changed
        self._queue: SimpleQueue[_Job | None] = SimpleQueue()
        self._gate = threading.Lock()
        self._closed = False
        self.failure: BusError | None = None
        """Why the last tick failed; None when it succeeded."""
        self._thread = threading.Thread(target=self._run, name="bus-writer", daemon=True)
        self._thread.start()

    def submit(
        self, work: Callable[[Transaction], Result], durable: bool = False
    ) -> "Future[Result]":
        """Run `work` in the next commit. The future ends after the commit, with `work`'s result,
        its `Fenced` (nothing of it was written) or a `BusError`."""
        future: Future[Result] = Future()
        future.set_running_or_notify_cancel()
        with self._gate:
            if self._closed:
                raise BusError("The bus is closed.")
            self._queue.put(_Job(work, future, durable))
        return future

    def finish(self) -> None:
        """Commit what is queued and end the thread."""
        with self._gate:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        self._thread.join()

    def close(self) -> None:
        """Let go of the file, once all readers have: the last to go empties the WAL, and only
        a connection that writes can do that."""
        self._connection.close()

    def _run(self) -> None:
        next_tick = time.monotonic() + self._tick_seconds
        next_check = time.monotonic() + WAL_CHECK_SECONDS
        more = True
        while more:
            jobs, more = self._drain(next_tick - time.monotonic())
            if jobs:
                self._commit(jobs)
            now = time.monotonic()
            if more and now >= next_tick:
                self._run_tick()
                next_tick = time.monotonic() + self._tick_seconds
            if jobs and now >= next_check:
                self._shorten_wal()
                next_check = now + WAL_CHECK_SECONDS

    def _drain(self, timeout_seconds: float) -> tuple[list[_Job], bool]:
        """What is queued now, after waiting for the first; False when it is the last."""
        jobs: list[_Job] = []
        try:
            job = self._queue.get(timeout=max(timeout_seconds, 0.0))
            while job is not None:
                jobs.append(job)
                if len(jobs) == MAX_JOBS:
                    return jobs, True
                job = self._queue.get_nowait()
        except Empty:
            return jobs, True
        return jobs, False

    def _commit(self, jobs: list[_Job]) -> None:
        transaction = Transaction(self._connection, self._ids)
        outcomes: list[tuple[_Job, Any, Exception | None]] = []
        try:
            with self._durably(any(job.durable for job in jobs)), self._writing():
                for job in jobs:
                    outcomes.append((job, *self._attempt(job, transaction, len(jobs) > 1)))
                if all(error is not None for _, _, error in outcomes):
                    raise _NothingToCommit
                fault_point("bus.committing")
        except _NothingToCommit:
            pass
        except Exception as error:
            failure = explain(error, self._path) if isinstance(error, apsw.Error) else error
            for job in jobs:
                job.future.set_exception(failure)
            return
        fault_point("bus.committed")
        for callback in transaction.after:
            callback()
        for job, result, failed in outcomes:
            if failed is None:
                job.future.set_result(result)
            else:
                job.future.set_exception(failed)
        if transaction.news:
            self._changed()

    def _attempt(
        self, job: _Job, transaction: Transaction, shared: bool
    ) -> tuple[Any, Exception | None]:
        """The result of one job or its refusal, without an effect on the others of the commit."""
        connection, callbacks = transaction.connection, len(transaction.after)
        if shared:
            connection.execute("SAVEPOINT job")
        try:
            result, refused = job.work(transaction), None
        except (Fenced, BusError) as error:
            result, refused = None, error
            del transaction.after[callbacks:]
            if shared:
                connection.execute("ROLLBACK TO job")
        if shared:
            connection.execute("RELEASE job")
        return result, refused

    def _run_tick(self) -> None:
        transaction = Transaction(self._connection, self._ids)
        try:
            with self._writing():
                self._tick(transaction)
        except apsw.Error as error:
            self.failure = explain(error, self._path)
            self._changed()
            return
        except BusError as error:
            self.failure = error
            self._changed()
            return
        self.failure = None
        for callback in transaction.after:
            callback()
        if transaction.news:
            self._changed()

    def _writing(self) -> AbstractContextManager[None]:
        return connection_immediate(
            self._connection, self._path, self._patience_seconds, lambda: self._closed
        )

    @contextmanager
    def _durably(self, durable: bool) -> Iterator[None]:
        """Within a transaction SQLite cannot be told how safe it is to be."""
        if durable:
            self._connection.pragma("synchronous", "FULL")
        try:
            yield
        finally:
            if durable:
                self._connection.pragma("synchronous", self._synchronous)

    def _shorten_wal(self) -> None:
        """Readers that are always busy keep automatic checkpoints from starting the file over. That
        needs a moment without any; nobody is waited for, and everybody is held up for no longer."""
        try:
            if Path(f"{self._path}-wal").stat().st_size <= WAL_LIMIT_BYTES:
                return
            frames, copied = self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            if copied == frames:
                self._connection.set_busy_timeout(RESTART_MILLISECONDS)
                self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_RESTART)
        except (OSError, apsw.Error):
            # It is tried again in a second; a broken disk shows at the next commit.
            return
        finally:
            self._connection.set_busy_timeout(int(BUSY_SECONDS * 1000))


class _NothingToCommit(Exception):
    pass
