"""What a role holds: takes records of its partitions and completes them. Knows no schema.

take: reader's thread        complete, close: writer's thread (see `groups`)
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from types import TracebackType
from typing import Protocol, Self, TypeVar

import apsw

from bus.cursor import Cursor
from bus.errors import BusError
from bus.events import Event
from bus.groups import Stream, Surplus
from bus.records import Delivery, Positioned
from bus.sqlite.groups import generation_of
from bus.sqlite.log import are_durable, read_page, to_entries
from bus.sqlite.membership import Held, Membership, Taken
from bus.sqlite.watch import Watch
from bus.sqlite.writer import Writer
from bus.topics import Topic

Result = TypeVar("Result")


class Reader(Protocol):
    """Runs a look at the log in the one thread that reads, on a snapshot of its own."""

    def __call__(self, look: Callable[[apsw.Connection], Result]) -> "Future[Result]": ...


class SqliteSubscription:
    """Implements `Subscription`."""

    def __init__(
        self,
        membership: Membership,
        topics: Mapping[str, Topic],
        writer: Writer,
        reader: Reader,
        watch: Watch,
        forget: Callable[[Membership], None],
    ) -> None:
        self._membership, self._topics = membership, topics
        self._writer, self._reader, self._watch = writer, reader, watch
        self._forget = forget
        self._surplus = Surplus(membership.group, membership.member.name, membership.lease_seconds)
        self._look_again: float | None = None
        self._closed = False
        self._turn = 0

    @property
    def epoch(self) -> int:
        with self._membership.lock:
            return max((held.epoch for held in self._membership.held.values()), default=0)

    async def take(self, limit: int, timeout_seconds: float | None = None) -> list[Delivery]:
        until = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        with self._watch.waiting() as news:
            while True:
                news.clear()
                self._check_open()
                taken = await self._look(limit)
                if taken:
                    return taken
                if taken is None:
                    await self._commit(self._membership.renew)
                    continue
                left = None if until is None else until - time.monotonic()
                if left is not None and left <= 0:
                    return []
                waits = [wait for wait in (left, self._look_again) if wait is not None]
                with suppress(TimeoutError):
                    # `wait_for` of 3.11 may swallow a cancel.
                    async with asyncio.timeout(min(waits, default=None)):
                        await news.wait()

    async def complete(self, done: Sequence[Positioned], outputs: Sequence[Event]) -> None:
        self._check_open()
        entries = to_entries(outputs, self._topics)
        done_by: dict[Stream, Taken] = {}
        for positioned in done:
            if positioned.topic not in self._membership.member.topics:
                raise BusError(f"This member of the group does not read {positioned.topic!r}.")
            stream = (positioned.topic, positioned.partition)
            taken = done_by.setdefault(stream, Taken(set(), set()))
            taken.offsets.add(positioned.offset)
            if isinstance(positioned, Delivery):
                taken.epochs.add(positioned.epoch)
        await self._commit(
            lambda transaction: self._membership.complete(transaction, done_by, entries),
            are_durable(entries, self._topics),
        )
        if any(held.draining and not held.open for held in self._held().values()):
            await self._commit(self._membership.renew)

    def cursors(self) -> dict[Stream, Cursor]:
        return {stream: held.cursor for stream, held in self._held().items()}

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._forget(self._membership)
        await self._commit(self._membership.leave)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def _check_open(self) -> None:
        if self._closed:
            raise BusError("The subscription is closed.")
        if self._writer.failure is not None:
            raise self._writer.failure

    def _held(self) -> dict[Stream, Held]:
        with self._membership.lock:
            return dict(self._membership.held)

    async def _commit(self, job: Callable[..., None], durable: bool = False) -> None:
        await asyncio.wrap_future(self._writer.submit(job, durable))

    async def _look(self, limit: int) -> list[Delivery] | None:
        """What can be taken now; None when the members of the group have changed."""
        future = self._reader(lambda connection: self._pick(connection, limit))
        picked = asyncio.wrap_future(future)
        try:
            return await asyncio.shield(picked)
        except asyncio.CancelledError:
            # Nobody will get what the thread is picking: it has to be taken again.
            future.add_done_callback(self._put_back)
            picked.add_done_callback(_forgotten)
            raise

    def _pick(self, connection: apsw.Connection, limit: int) -> list[Delivery] | None:
        membership = self._membership
        if not membership.is_current(connection):
            raise membership.fenced()
        if generation_of(connection, membership.group) != membership.generation:
            return None
        taken: list[Delivery] = []
        everything = sorted(self._held().items())
        # Start with another partition each time, so that a busy one does not starve the rest.
        self._turn += 1
        first = self._turn % len(everything) if everything else 0
        others = {} if everything else membership.crowd(connection)
        self._look_again = self._surplus.look(time.monotonic(), others)
        for stream, held in everything[first:] + everything[:first]:
            if len(taken) < limit:
                taken += self._pick_from(connection, stream, held, limit - len(taken))
        return taken

    def _pick_from(
        self, connection: apsw.Connection, stream: Stream, held: Held, limit: int
    ) -> list[Delivery]:
        lock, everything = self._membership.lock, self._membership.held
        taken: list[Delivery] = []
        at = held.next
        while len(taken) < limit:
            at = held.cursor.first_open(at)
            page = read_page(connection, stream, at, limit - len(taken))
            if not page:
                break
            at = page[-1].offset + 1
            with lock:
                if held.draining or everything.get(stream) is not held:
                    break
                for record in page:
                    offset = record.offset
                    if offset not in held.open and not held.cursor.is_done(offset):
                        held.open.add(offset)
                        taken.append(Delivery(record=record, epoch=held.epoch))
                held.next = at
        return taken

    def _put_back(self, future: "Future[list[Delivery] | None]") -> None:
        if future.cancelled() or future.exception() is not None:
            return
        with self._membership.lock:
            for delivery in future.result() or ():
                held = self._membership.held.get((delivery.topic, delivery.partition))
                if held is not None and held.epoch == delivery.epoch:
                    held.open.discard(delivery.offset)
                    held.next = min(held.next, delivery.offset)
        self._watch.notify()


def _forgotten(picked: "asyncio.Future[list[Delivery] | None]") -> None:
    """Whoever waited has been cancelled: an error of the thread is nobody's."""
    if not picked.cancelled():
        picked.exception()
