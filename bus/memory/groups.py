"""Groups of the memory bus: who owns which partition, how far it has come, what is taken.
Knows no clock: a member is silent when a simulation says so.
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
from bus.memory.log import MemoryLog
from bus.records import Delivery, Positioned
from bus.shares import Stream, share


@dataclass(slots=True)
class Place:
    """A group's cursor on a partition and its owner; `open` was taken and is not done."""

    cursor: Cursor = field(default_factory=Cursor)
    epoch: int = 0
    owner: str = ""
    next: int = 0
    open: set[int] = field(default_factory=set)
    draining: bool = False

    def give(self, owner: str) -> None:
        self.owner, self.draining = owner, False
        self.epoch += bool(owner)
        self.next, self.open = self.cursor.base, set()


@dataclass(slots=True)
class Group:
    places: dict[Stream, Place] = field(default_factory=dict)
    members: dict[str, "MemorySubscription"] = field(default_factory=dict)

    def join(self, subscription: "MemorySubscription", name: str) -> None:
        """Whoever it replaces is fenced: by name, or everybody when it is exclusive."""
        for other in list(self.members) if subscription.exclusive else [name]:
            self.members.pop(other, None)
            for place in self.places.values():
                if place.owner == other:
                    place.give("")
        self.members[name] = subscription
        self.rebalance()

    def rebalance(self) -> None:
        """Free partitions go to whom they are due; one with open work is given away later."""
        alone = {name: one.topics for name, one in self.members.items() if one.exclusive}
        taken: frozenset[str] = frozenset().union(*alone.values())
        readers = {name: one.topics - taken for name, one in self.members.items()} | alone
        target = share({at: place.owner for at, place in self.places.items()}, readers)
        for stream, place in self.places.items():
            due = target.get(stream, "")
            place.draining = place.owner != due
            bound = place.open and stream[0] in readers.get(place.owner, ())
            if place.draining and not bound:
                place.give(due)


class MemorySubscription:
    """Implements `Subscription`."""

    def __init__(
        self,
        log: MemoryLog,
        group: Group,
        member: str,
        topics: Sequence[str],
        exclusive: bool,
    ) -> None:
        self._log, self._group, self._member = log, group, member
        self.topics, self.exclusive = frozenset(topics), exclusive
        self._closed = False
        self._turn = 0

    @property
    def epoch(self) -> int:
        return max((place.epoch for place in self._places().values()), default=0)

    async def take(self, limit: int, timeout_seconds: float | None = None) -> list[Delivery]:
        until = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        await asyncio.sleep(0)
        while True:
            self._check_current()
            if taken := self._pick(limit):
                return taken
            left = None if until is None else until - time.monotonic()
            if (left is not None and left <= 0) or not await self._log.news(left):
                return []

    async def complete(self, done: Sequence[Positioned], outputs: Sequence[Event]) -> None:
        records = self._log.encoded(outputs)
        self._check_current()
        offsets: dict[Stream, list[int]] = {}
        for positioned in done:
            stream = (positioned.topic, positioned.partition)
            self._check_owned(stream, positioned)
            offsets.setdefault(stream, []).append(positioned.offset)
        for stream, finished in offsets.items():
            place = self._group.places[stream]
            place.cursor = place.cursor.advance(finished)
            place.open.difference_update(finished)
        self._log.append(records)
        if any(place.draining and not place.open for place in self._places().values()):
            self._group.rebalance()
        await asyncio.sleep(0)

    def cursors(self) -> dict[Stream, Cursor]:
        return {stream: place.cursor for stream, place in self._places().items()}

    async def close(self) -> None:
        self._closed = True
        self.lapse()

    def lapse(self) -> None:
        """As if this member had fallen silent and its lease had passed."""
        if self._is_current():
            for place in self._places().values():
                place.give("")
            del self._group.members[self._member]
            self._group.rebalance()
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
        return self._group.members.get(self._member) is self

    def _check_current(self) -> None:
        self._log.check_open()
        if self._closed:
            raise BusError("The subscription is closed.")
        if not self._is_current():
            raise Fenced(f"Another instance of {self._member!r} has taken over.")

    def _check_owned(self, stream: Stream, positioned: Positioned) -> None:
        if stream[0] not in self.topics:
            raise BusError(f"This member of the group does not read {stream[0]!r}.")
        place = self._group.places.get(stream)
        epoch = positioned.epoch if isinstance(positioned, Delivery) else None
        if place is None or place.owner != self._member or epoch not in (None, place.epoch):
            raise Fenced(f"{stream[0]}/{stream[1]} does not belong to {self._member!r} any more.")
        end = len(self._log.streams[stream])
        if not 0 <= positioned.offset < end:
            raise BusError(
                f"Offset {positioned.offset} of {stream[0]}/{stream[1]} cannot be completed: "
                f"the log ends at {end}."
            )

    def _places(self) -> dict[Stream, Place]:
        places = self._group.places if self._is_current() else {}
        return {at: place for at, place in sorted(places.items()) if place.owner == self._member}

    def _pick(self, limit: int) -> list[Delivery]:
        taken: list[Delivery] = []
        places = [(at, place) for at, place in self._places().items() if not place.draining]
        # Start with another partition each time, so that a busy one does not starve the rest.
        self._turn += 1
        first = self._turn % len(places) if places else 0
        for stream, place in places[first:] + places[:first]:
            log = self._log.streams[stream]
            while len(taken) < limit:
                place.next = place.cursor.first_open(place.next)
                if place.next >= len(log):
                    break
                if place.next not in place.open:
                    place.open.add(place.next)
                    taken.append(Delivery(record=log[place.next], epoch=place.epoch))
                place.next += 1
        return taken
