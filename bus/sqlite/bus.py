"""The embedded bus: one SQLite file per run, shared by the processes of one machine.

publish, complete -> writer's thread -> file        take, follow <- reader's thread <- file
                                                    woken by the watch's thread
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import apsw

from bus.cursor import Cursor
from bus.errors import BusError
from bus.events import Event
from bus.faults import fault_point
from bus.groups import Member, Stream
from bus.log import Cut, cut_of
from bus.records import Lag, Record, check_places
from bus.sqlite.beats import LOOKS_PER_LEASE, Beats
from bus.sqlite.file import (
    Synchronous,
    flush,
    open_reader,
    open_writer,
    plain_errors,
    topics_of,
)
from bus.sqlite.groups import group_names, load
from bus.sqlite.ids import Ids
from bus.sqlite.log import (
    Entry,
    all_heads,
    append,
    are_durable,
    as_entry,
    check_end,
    damaged,
    find_row,
    read_page,
    to_entries,
)
from bus.sqlite.membership import Membership
from bus.sqlite.starts import starts
from bus.sqlite.subscription import SqliteSubscription
from bus.sqlite.trim import trim_some
from bus.sqlite.watch import Watch
from bus.sqlite.writer import Transaction, Writer
from bus.topics import TOPICS, Topic

Result = TypeVar("Result")

MAX_LEASE_SECONDS = 600.0
PATIENCE_SECONDS = 20.0


class SqliteBus:
    """Implements `Bus`. `create=False` and `read_only=True` want a log that exists already. A new
    one gets `partitions` of each co-partitioned topic, None for as many as it says; another keeps
    its own.

    With `synchronous="NORMAL"` a commit survives a killed process; a power cut may take those since
    the last one that held an event of a durable topic. With "FULL" it takes none. A process that
    holds the log is waited for `patience_seconds`, with None for ever.
    """

    def __init__(
        self,
        path: Path,
        *,
        topics: Mapping[str, Topic] = TOPICS,
        partitions: int | None = None,
        synchronous: Synchronous = "NORMAL",
        create: bool = True,
        read_only: bool = False,
        lease_seconds: float = 10.0,
        patience_seconds: float | None = PATIENCE_SECONDS,
    ) -> None:
        if not 0 < lease_seconds <= MAX_LEASE_SECONDS:
            raise BusError(f"A lease lasts up to {MAX_LEASE_SECONDS:.0f} s, not {lease_seconds}.")
        self._path, self._lease_seconds = path, lease_seconds
        self._members: list[Membership] = []
        self._beats: dict[str, Beats] = {}
        self._closed = False
        writing = None
        if not read_only:
            writing = open_writer(
                path, topics, synchronous, create, patience_seconds, partitions=partitions
            )
        try:
            self._connection = open_reader(path)
            with plain_errors(path):
                self._topics = topics_of(self._connection, topics)
            self._replay = open_reader(path)
            self._ids = Ids(self._replay)
            self._watch = Watch(open_reader(path))
        except BusError:
            if writing is not None:
                writing.close()
            raise
        self._replaying = threading.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="bus-reader")
        self._writer: Writer | None = None
        if writing is not None:
            tick_seconds = lease_seconds / LOOKS_PER_LEASE
            self._writer = Writer(
                writing, path, self._renew, tick_seconds, self._watch.notify, patience_seconds
            )

    @property
    def log(self) -> "SqliteBus":
        """Itself: the same connection reads."""
        return self

    async def publish(self, events: Sequence[Event]) -> None:
        await self._append(to_entries(events, self._topics))

    async def append(self, records: Sequence[Record]) -> None:
        check_places(records, self._topics)
        await self._append([as_entry(record) for record in records])

    async def trim(self, below: Mapping[Stream, int]) -> None:
        while await asyncio.wrap_future(
            self._writing().submit(lambda at: trim_some(at.connection, below))
        ):
            fault_point("bus.trimming")

    def subscribe(
        self,
        topics: Sequence[str],
        group: str,
        member: str,
        *,
        exclusive: bool = False,
        above: int = 0,
    ) -> SqliteSubscription:
        unknown = [topic for topic in topics if topic not in self._topics]
        if unknown or not topics or not member:
            raise BusError(
                f"Group {group!r} cannot read {', '.join(unknown) or 'nothing'} as {member!r}: "
                f"there are the topics {', '.join(self._topics)}."
            )
        writer = self._writing()
        joining = Member(
            name=member, instance=uuid4().hex, topics=frozenset(topics), exclusive=exclusive
        )
        membership = Membership(group, joining, above, self._lease_seconds)
        writer.submit(membership.join).result()
        self._members.append(membership)
        return SqliteSubscription(
            membership, self._topics, writer, self._read, self._watch, self._members.remove
        )

    async def follow(self, topic: str, start: int = 0) -> AsyncIterator[Record]:
        streams = [stream for stream in self.heads() if stream[0] == topic]
        if not streams:
            raise BusError(f"There is no topic {topic!r} on the log {self._path}.")
        at = dict.fromkeys(streams, start)
        while True:
            with self._watch.waiting() as news:
                page = await asyncio.wrap_future(self._read(lambda one: _news(one, at)))
                if not page:
                    await news.wait()
            for record in page:
                at[record.topic, record.partition] = record.offset + 1
                yield record

    def read(
        self, topic: str, partition: int = 0, start: int = 0, end: int | None = None
    ) -> Iterator[Record]:
        stream = (topic, partition)
        head = self._look(lambda connection: check_end(connection, stream))
        end = head if end is None else min(end, head)
        at = start
        while at < end:
            page = self._look(partial(read_page, stream=stream, start=at, limit=end - at))
            if not page:
                raise damaged(*stream, at, "the record is missing")
            yield from page
            at += len(page)

    def heads(self) -> dict[Stream, int]:
        return self._look(lambda connection: dict(all_heads(connection)))

    def starts(self) -> dict[Stream, int]:
        return self._look(starts)

    def cut(self) -> Cut:
        def look(connection: apsw.Connection) -> Cut:
            groups = {name: load(connection, name) for name in group_names(connection)}
            return cut_of(dict(all_heads(connection)), groups)

        cut = self._look(look)
        flush(self._path)
        return cut

    def commits(self, topic: str, partition: int, start: int, end: int) -> Sequence[int]:
        """Numbers that grow from commit to commit, of the records [start, end)."""
        query = "SELECT seq FROM log WHERE topic = ? AND part = ? AND off >= ? AND off < ?"
        place = (topic, partition, start, end)
        return self._look(
            lambda connection: [
                int(row[0] or 0) for row in connection.execute(f"{query} ORDER BY off", place)
            ]
        )

    def find(self, event_id: str) -> Record | None:
        return self._look(lambda connection: find_row(connection, self._ids, event_id))

    def lag(self, group: str) -> list[Lag]:
        def look(connection: apsw.Connection) -> list[Lag]:
            return load(connection, group).lags(dict(all_heads(connection)))

        return self._look(look)

    def cursors(self, group: str) -> dict[Stream, Cursor]:
        return self._look(lambda connection: load(connection, group)).cursors()

    def groups(self) -> list[str]:
        return self._look(group_names)

    def members(self, group: str) -> list[str]:
        def look(connection: apsw.Connection) -> list[str]:
            beats = self._beats.setdefault(group, Beats(group, self._lease_seconds))
            return [member.name for member in beats.look(connection)[0]]

        return self._look(look)

    async def close(self) -> None:
        """Members that did not close their subscription lose it when its lease has passed."""
        if not self._closed:
            self._closed = True
            await asyncio.to_thread(self._stop)

    def _stop(self) -> None:
        if self._writer is not None:
            self._writer.finish()
        self._watch.close()
        self._thread.shutdown()
        self._connection.close()
        with self._replaying:
            self._replay.close()
        if self._writer is not None:
            self._writer.close()

    async def _append(self, entries: list[Entry]) -> None:
        durable = are_durable(entries, self._topics)
        future = self._writing().submit(lambda at: _append(at, entries), durable)
        await asyncio.wrap_future(future)

    def _writing(self) -> Writer:
        if self._writer is None:
            raise BusError(f"The log {self._path} was opened for reading only.")
        return self._writer

    def _renew(self, transaction: Transaction) -> None:
        for membership in list(self._members):
            membership.renew(transaction)

    def _read(self, look: Callable[[apsw.Connection], Result]) -> "Future[Result]":
        if self._closed:
            raise BusError("The bus is closed.")
        return self._thread.submit(self._on_snapshot, self._connection, look)

    def _look(self, look: Callable[[apsw.Connection], Result]) -> Result:
        with self._replaying:
            if self._closed:
                raise BusError("The bus is closed.")
            return self._on_snapshot(self._replay, look)

    def _on_snapshot(
        self, connection: apsw.Connection, look: Callable[[apsw.Connection], Result]
    ) -> Result:
        with plain_errors(self._path):
            connection.execute("BEGIN")
            try:
                return look(connection)
            finally:
                if connection.in_transaction:
                    connection.execute("COMMIT")


def _append(transaction: Transaction, entries: list[Entry]) -> None:
    if append(transaction.connection, transaction.ids, entries):
        transaction.news = True


def _news(connection: apsw.Connection, at: Mapping[Stream, int]) -> list[Record]:
    return [
        record for stream, start in at.items() for record in read_page(connection, stream, start)
    ]
