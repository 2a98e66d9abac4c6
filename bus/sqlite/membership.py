"""A member of a group on the SQLite file: joining, completing, leaving. Jobs run in the writer's
thread, each inside a transaction: it loads the group, has the fold of `bus.groups` say who owns
what, and stores it. Beats say who is alive, epochs who may write. Reads no record.
"""

import threading
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from functools import partial

import apsw

from bus.cursor import Cursor
from bus.errors import BusError, Fenced
from bus.groups import Group, Member, Stream
from bus.sqlite.beats import Beats
from bus.sqlite.groups import generation_of, load, members_of, store
from bus.sqlite.log import Entry, all_heads, append, check_end, head_of
from bus.sqlite.writer import Transaction

_INSTANCE = "SELECT instance FROM member WHERE grp = ? AND member = ?"
_BEAT = (
    "UPDATE member SET lease_until = lease_until + 1 WHERE grp = ? AND member = ? AND instance = ?"
)
_OWNER = "SELECT epoch, owner FROM cursor WHERE grp = ? AND topic = ? AND part = ?"
_ADVANCE = "UPDATE cursor SET base = ?, done = ? WHERE grp = ? AND topic = ? AND part = ?"


@dataclass(slots=True)
class Held:
    """A partition that this member owns. `open` was taken and is not done; `next` is where to
    look for more. A draining one is on its way to another member."""

    epoch: int
    cursor: Cursor
    next: int
    open: set[int] = field(default_factory=set)
    draining: bool = False


@dataclass(frozen=True, slots=True)
class Taken:
    """Offsets to complete on one partition, and the epochs they were taken under."""

    offsets: set[int]
    epochs: set[int]


class Membership:
    """One instance of a member. `lock` guards what is held, which two threads change."""

    def __init__(self, group: str, member: Member, above: int, lease_seconds: float) -> None:
        self.group, self.member = group, member
        self.lease_seconds = lease_seconds
        self.generation = -1
        self.held: dict[Stream, Held] = {}
        self.lock = threading.Lock()
        self._above = above
        self._beats = Beats(group, lease_seconds)

    def join(self, transaction: Transaction) -> None:
        group = load(transaction.connection, self.group)
        streams = [stream for stream, _ in all_heads(transaction.connection)]
        group.join(self.member, streams, self._above)
        self._settle(transaction, group)

    def leave(self, transaction: Transaction) -> None:
        if self.is_current(transaction.connection):
            group = load(transaction.connection, self.group)
            group.leave(self.member.name)
            self._settle(transaction, group)

    def renew(self, transaction: Transaction) -> None:
        """Stay alive, bury the dead, and take or give what is due. Who was only silent has to join
        again."""
        connection = transaction.connection
        connection.execute(_BEAT, (self.group, self.member.name, self.member.instance))
        if connection.changes():
            group = load(connection, self.group)
            for dead in self._beats.look(connection)[1]:
                group.leave(dead.name)
            self._settle(transaction, group)

    def complete(
        self, transaction: Transaction, done: Mapping[Stream, Taken], entries: list[Entry]
    ) -> None:
        """Raises `Fenced` or `BusError` before anything is written. What is all done already was
        answered then."""
        connection = transaction.connection
        if not self.is_current(connection):
            raise self.fenced()
        cursors = {stream: self._claimed(transaction, stream, one) for stream, one in done.items()}
        if done and all(
            cursors[stream].is_done(offset)
            for stream, one in done.items()
            for offset in one.offsets
        ):
            return
        if entries and append(connection, transaction.ids, entries):
            transaction.news = True
        for stream, before in cursors.items():
            offsets = done[stream].offsets
            cursor = before.advance(offsets)
            transaction.pending[self, stream] = cursor
            connection.execute(_ADVANCE, (cursor.base, cursor.encode(), self.group, *stream))
            transaction.after.append(partial(self._done, stream, cursor, offsets))

    def is_current(self, connection: apsw.Connection) -> bool:
        """Whether no other instance has taken this member over."""
        found = connection.execute(_INSTANCE, (self.group, self.member.name)).get
        return bool(found == self.member.instance)

    def crowd(self, connection: apsw.Connection) -> dict[str, float]:
        """The beats of those who leave no partition for this member, by name."""
        others = load(connection, self.group).crowd(self.member.name)
        beats = {one.member: one.beat for one in members_of(connection, self.group)}
        return {one.name: beats[one] for one in others}

    def fenced(self) -> Fenced:
        return Fenced(
            f"Another instance of {self.member.name!r} has taken over in group {self.group!r}, or "
            "this one was silent for a lease."
        )

    def _claimed(self, transaction: Transaction, stream: Stream, taken: Taken) -> Cursor:
        connection = transaction.connection
        held = self.held.get(stream)
        epoch, owner = connection.execute(_OWNER, (self.group, *stream)).get or (0, "")
        if (
            held is None
            or (epoch, owner) != (held.epoch, self.member.name)
            or taken.epochs - {epoch}
        ):
            raise Fenced(
                f"{stream[0]}/{stream[1]} of group {self.group!r} belongs to {owner or 'nobody'!r} "
                f"under epoch {epoch}, not to what {self.member.name!r} took."
            )
        head = head_of(connection, stream)
        if max(taken.offsets) >= head or min(taken.offsets) < 0:
            raise BusError(
                f"Offset {max(taken.offsets)} of {stream[0]}/{stream[1]} cannot be completed: "
                f"the log ends at {head}."
            )
        pending: Cursor = transaction.pending.get((self, stream), held.cursor)
        return pending

    def _done(self, stream: Stream, cursor: Cursor, offsets: Set[int]) -> None:
        with self.lock:
            held = self.held[stream]
            held.cursor = cursor
            held.open -= offsets

    def _settle(self, transaction: Transaction, group: Group) -> None:
        """Store the group as it is now, and hold what it gives to this member."""
        connection = transaction.connection
        group.rebalance()
        group.release(self._given_up(group))
        if store(connection, self.group, group):
            transaction.news = True
        owned = group.owned(self.member.name)
        fresh = {
            stream: Held(epoch, cursor := group.holdings[stream].cursor, cursor.base)
            for stream, epoch in owned.items()
            if (held := self.held.get(stream)) is None or held.epoch != epoch
        }
        for stream, new in fresh.items():
            runs = new.cursor.runs
            check_end(connection, stream, runs[-1][1] if runs else new.cursor.base)
        generation = generation_of(connection, self.group)
        transaction.after.append(partial(self._hold, owned.keys(), fresh, generation))

    def _given_up(self, group: Group) -> list[Stream]:
        """What is due to others and has nothing open; of the rest no more is taken."""
        given = []
        with self.lock:
            for stream, epoch in group.owned(self.member.name).items():
                held = self.held.get(stream)
                if held is not None and held.epoch == epoch:
                    held.draining = group.holdings[stream].draining
                    if held.draining and not held.open:
                        given.append(stream)
        return given

    def _hold(self, owned: Set[Stream], fresh: Mapping[Stream, Held], generation: int) -> None:
        with self.lock:
            for stream in [stream for stream in self.held if stream not in owned]:
                del self.held[stream]
            self.held.update(fresh)
        self.generation = generation
