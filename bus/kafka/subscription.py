"""What a role holds: takes records of its partitions and completes them. Knows no broker.

take: the caller's thread, from the shelves        complete, close: the bus's thread
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Self

from bus.cursor import Cursor
from bus.events import Event
from bus.groups import Stream
from bus.kafka.cluster.thread import Background
from bus.kafka.journal.journal import Journal
from bus.kafka.member import KafkaMember
from bus.records import Delivery, Positioned, to_records
from bus.topics import Topic

TOGETHER_SECONDS = 0.1
"""Records of several partitions arrive one by one: a take that found something waits so long for
what is on the journal already."""

PLENTY = 64
"""With so many records at hand it does not wait."""


class KafkaSubscription:
    """Implements `Subscription`."""

    def __init__(
        self,
        member: KafkaMember,
        journal: Journal,
        thread: Background,
        topics: Mapping[str, Topic],
        forget: Callable[[KafkaMember], None],
    ) -> None:
        self._member, self._journal, self._thread = member, journal, thread
        self._topics, self._forget = topics, forget
        self._turn = 0

    @property
    def epoch(self) -> int:
        with self._journal.state.lock:
            return self._member.epoch()

    async def take(self, limit: int, timeout_seconds: float | None = None) -> list[Delivery]:
        until = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        together = 0.0
        self._member.check()
        # Whoever has been replaced before this call learns it now, not at its next commit.
        await self._catch_up(timeout_seconds)
        with self._journal.waiting() as news:
            while True:
                news.clear()
                now = time.monotonic()
                late = until is not None and now >= until
                with self._journal.state.lock:
                    self._member.check()
                    few = self._num_ready() < min(limit, PLENTY) and self._member.inbox.lacking()
                    if not few or late or (together and now >= together):
                        taken = self._pick(limit)
                        if taken or late:
                            return taken
                    elif self._num_ready():
                        together = together or now + TOGETHER_SECONDS
                    again = self._member.look_for_surplus(now)
                ends = [end for end in (until, together, again and now + again) if end]
                left = max(0.0, min(ends) - now) if ends else None
                try:
                    async with asyncio.timeout(left):  # `wait_for` of 3.11 may swallow a cancel
                        await news.wait()
                except TimeoutError:
                    continue

    async def complete(self, done: Sequence[Positioned], outputs: Sequence[Event]) -> None:
        records = to_records(outputs, self._topics)
        await self._thread.wait(self._member.complete(done, records))

    def cursors(self) -> dict[Stream, Cursor]:
        with self._journal.state.lock:
            holdings = self._member.state().holdings
            return {stream: holdings[stream].cursor for stream in sorted(self._member.owned())}

    async def close(self) -> None:
        if not self._member.closed:
            self._forget(self._member)
            await self._thread.wait(self._member.leave())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def _catch_up(self, timeout_seconds: float | None) -> None:
        if self._journal.watch.trouble is None:
            caught_up = asyncio.wrap_future(self._thread.submit(self._journal.catch_up()))
            done, _ = await asyncio.wait([caught_up], timeout=timeout_seconds)
            for one in done:
                one.result()

    def _num_ready(self) -> int:
        return sum(len(shelf.ready) for shelf in self._member.inbox.shelves.values())

    def _pick(self, limit: int) -> list[Delivery]:
        taken: list[Delivery] = []
        holdings = self._member.state().holdings
        shelves = sorted(self._member.inbox.shelves.items())
        # Start with another partition each time, so that a busy one does not starve the rest.
        self._turn += 1
        first = self._turn % len(shelves) if shelves else 0
        for stream, shelf in shelves[first:] + shelves[:first]:
            holding = holdings[stream]
            if holding.draining or holding.epoch != shelf.epoch:
                continue
            while shelf.ready and len(taken) < limit:
                offset, record = shelf.pop()
                if not holding.cursor.is_done(offset):
                    taken.append(Delivery(record=record, epoch=shelf.epoch))
                else:
                    shelf.close([offset])
        if taken:
            self._thread.soon(self._member.inbox.wake)
        return taken
