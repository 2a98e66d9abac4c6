"""A member of a group on the memory bus: what it has taken, and what it completes. Knows no clock:
a member is silent when a simulation says so.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from bus.cursor import Cursor
from bus.errors import BusError, Fenced
from bus.events import Event
from bus.groups import Claim, Group, Member, Stream, Surplus
from bus.memory.log import MemoryLog
from bus.records import Delivery, Positioned

LEASE_SECONDS = 10.0
"""Nobody loses a partition for it here: for half of it a member too many waits for one."""


@dataclass(slots=True)
class Shelf:
    """An owned partition: `open` was taken and is not done, `next` is where to look for more."""

    epoch: int
    next: int = 0
    open: set[int] = field(default_factory=set)


class MemorySubscription:
    """Implements `Subscription`."""

    def __init__(
        self, log: MemoryLog, group_name: str, group: Group, member: Member, above: int
    ) -> None:
        self._log, self._group, self._member = log, group, member
        self._shelves: dict[Stream, Shelf] = {}
        self._closed = False
        self._turn = 0
        self._surplus = Surplus(group_name, member.name, LEASE_SECONDS)
        group.join(member, log.streams, above)
        self._epoch = max(self._owned().values(), default=0)

    @property
    def epoch(self) -> int:
        self._epoch = max(self._owned().values(), default=self._epoch)
        return self._epoch

    async def take(self, limit: int, timeout_seconds: float | None = None) -> list[Delivery]:
        until = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        await asyncio.sleep(0)
        while True:
            self._check_current()
            self._release()
            if taken := self._pick(limit):
                return taken
            now = time.monotonic()
            # Whoever is a member here is alive.
            others = self._group.crowd(self._member.name)
            again = self._surplus.look(now, dict.fromkeys((one.name for one in others), now))
            if until is not None and now >= until:
                return []
            waits = [] if until is None else [until - now]
            await self._log.news(min([*waits, *([] if again is None else [again])], default=None))

    async def complete(self, done: Sequence[Positioned], outputs: Sequence[Event]) -> None:
        records = self._log.encoded(outputs)
        self._check_current()
        claims = self._claims(done)
        if not self._group.are_done(claims):
            self._log.append(records)
        self._group.complete(claims)
        for stream, claim in claims.items():
            self._shelf(stream, claim.epoch).open.difference_update(
                offset for start, end in claim.runs for offset in range(start, end)
            )
        self._release()
        await asyncio.sleep(0)

    def cursors(self) -> dict[Stream, Cursor]:
        return {at: self._group.holdings[at].cursor for at in sorted(self._owned())}

    async def close(self) -> None:
        self._closed = True
        self.lapse()

    def lapse(self) -> None:
        """As if this member had fallen silent and its lease had passed."""
        if self._is_current():
            self._group.leave(self._member.name)
            self._log.wake()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def _is_current(self) -> bool:
        return self._group.is_current(self._member.name, self._member.instance)

    def _check_current(self) -> None:
        self._log.check_open()
        if self._closed:
            raise BusError("The subscription is closed.")
        if not self._is_current():
            raise Fenced(f"Another instance of {self._member.name!r} has taken over.")

    def _owned(self) -> dict[Stream, int]:
        return self._group.owned(self._member.name) if self._is_current() else {}

    def _claims(self, done: Sequence[Positioned]) -> dict[Stream, Claim]:
        owned = self._owned()
        offsets: dict[Stream, list[int]] = {}
        for positioned in done:
            stream = (positioned.topic, positioned.partition)
            if stream[0] not in self._member.topics:
                raise BusError(f"This member of the group does not read {stream[0]!r}.")
            epoch = owned.get(stream)
            taken_under = positioned.epoch if isinstance(positioned, Delivery) else epoch
            if epoch is None or taken_under != epoch:
                raise Fenced(
                    f"{stream[0]}/{stream[1]} does not belong to {self._member.name!r} any more."
                )
            end = len(self._log.streams[stream])
            if not 0 <= positioned.offset < end:
                raise BusError(
                    f"Offset {positioned.offset} of {stream[0]}/{stream[1]} cannot be completed: "
                    f"the log ends at {end}."
                )
            offsets.setdefault(stream, []).append(positioned.offset)
        return {at: Claim(owned[at], Cursor(-1).advance(some).runs) for at, some in offsets.items()}

    def _shelf(self, stream: Stream, epoch: int) -> Shelf:
        shelf = self._shelves.get(stream)
        if shelf is None or shelf.epoch != epoch:
            shelf = self._shelves[stream] = Shelf(epoch)
        return shelf

    def _release(self) -> None:
        """Give up what is due to others and has no open work."""
        released = [
            at
            for at, epoch in self._owned().items()
            if self._group.holdings[at].draining and not self._shelf(at, epoch).open
        ]
        if released:
            self._group.release(released)
            self._log.wake()

    def _pick(self, limit: int) -> list[Delivery]:
        taken: list[Delivery] = []
        owned = sorted(self._owned().items())
        # Start with another partition each time, so that a busy one does not starve the rest.
        self._turn += 1
        first = self._turn % len(owned) if owned else 0
        for stream, epoch in owned[first:] + owned[:first]:
            holding, log = self._group.holdings[stream], self._log.streams[stream]
            shelf = self._shelf(stream, epoch)
            while len(taken) < limit and not holding.draining:
                shelf.next = holding.cursor.first_open(shelf.next)
                if shelf.next >= len(log):
                    break
                if shelf.next not in shelf.open:
                    shelf.open.add(shelf.next)
                    taken.append(Delivery(record=log[shelf.next], epoch=epoch))
                shelf.next += 1
        return taken
