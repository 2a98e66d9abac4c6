"""A member of a group in the SQLite file: joining, sharing partitions, completing, leaving.

All jobs run in the writer's thread, each inside a transaction. Beats say when others may try, the
epoch who may write. Reads no record.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import uuid4

import apsw

from bus.cursor import Cursor
from bus.errors import BusError, Fenced
from bus.groups import Stream, crowd, share
from bus.sqlite.beats import Beats, members_of
from bus.sqlite.cursors import cursor_of
from bus.sqlite.log import Entry, append, check_end, head_of
from bus.sqlite.writer import Transaction

_OWN = "UPDATE cursor SET owner = ?, epoch = ? WHERE grp = ? AND topic = ? AND part = ?"
_RELEASE = "UPDATE cursor SET owner = '' WHERE grp = ? AND topic = ? AND part = ? AND owner = ?"
_OWNER = "SELECT epoch, owner FROM cursor WHERE grp = ? AND topic = ? AND part = ?"
_ADVANCE = "UPDATE cursor SET base = ?, done = ? WHERE grp = ? AND topic = ? AND part = ?"


@dataclass(slots=True)
class Holding:
    """A partition that this member owns. `open` was taken and is not done; `next` is where to
    look for more. A draining one is on its way to another member."""

    epoch: int
    cursor: Cursor
    next: int
    open: set[int] = field(default_factory=set)
    draining: bool = False


@dataclass(frozen=True, slots=True)
class Claim:
    """Offsets to complete on one partition, and the epochs they were taken under."""

    offsets: set[int]
    epochs: set[int]


class Membership:
    """One instance of a member. `lock` guards the holdings, which two threads change."""

    def __init__(
        self,
        group: str,
        member: str,
        topics: Sequence[str],
        exclusive: bool,
        above: int,
        lease: float,
    ) -> None:
        self.group, self.member = group, member
        self.topics, self.exclusive = frozenset(topics), exclusive
        self.instance = uuid4().hex
        self.generation = -1
        self.holdings: dict[Stream, Holding] = {}
        self.lock = threading.Lock()
        self.lease_seconds = lease
        self._above = above
        self._beats = Beats(group, lease)

    def join(self, transaction: Transaction) -> None:
        connection = transaction.connection
        if self.exclusive:
            connection.execute("DELETE FROM member WHERE grp = ?", (self.group,))
        connection.execute(
            "INSERT OR REPLACE INTO member VALUES (?, ?, ?, ?, ?, 0)",
            (
                self.group,
                self.member,
                self.instance,
                "\n".join(sorted(self.topics)),
                self.exclusive,
            ),
        )
        for topic in self.topics:
            connection.execute(
                "INSERT INTO cursor (grp, topic, part) SELECT ?, topic, part FROM head "
                "WHERE topic = ? ON CONFLICT DO NOTHING",
                (self.group, topic),
            )
            connection.execute(
                "UPDATE cursor SET epoch = max(epoch, ?) WHERE grp = ? AND topic = ?",
                (self._above, self.group, topic),
            )
        self._rebalance(transaction, changed=True)

    def leave(self, transaction: Transaction) -> None:
        connection = transaction.connection
        if not self.is_current(connection):
            return
        connection.execute(
            "DELETE FROM member WHERE grp = ? AND member = ?", (self.group, self.member)
        )
        connection.execute(
            "UPDATE cursor SET owner = '' WHERE grp = ? AND owner = ?", (self.group, self.member)
        )
        self._changed(transaction)

    def renew(self, transaction: Transaction) -> None:
        """Stay alive, and take or give what the group's members are due now."""
        transaction.connection.execute(
            "UPDATE member SET lease_until = lease_until + 1 "
            "WHERE grp = ? AND member = ? AND instance = ?",
            (self.group, self.member, self.instance),
        )
        if transaction.connection.changes():
            self._rebalance(transaction)

    def complete(
        self, transaction: Transaction, claims: Mapping[Stream, Claim], entries: list[Entry]
    ) -> None:
        """Raises `Fenced` or `BusError` before anything is written. What is all done already was
        answered then."""
        connection = transaction.connection
        if not self.is_current(connection):
            raise self.fenced()
        cursors = {
            stream: self._claimed(transaction, stream, claim) for stream, claim in claims.items()
        }
        if claims and all(
            cursors[stream].is_done(offset)
            for stream, claim in claims.items()
            for offset in claim.offsets
        ):
            return
        if entries and append(connection, transaction.ids, entries):
            transaction.news = True
        for stream, before in cursors.items():
            offsets = claims[stream].offsets
            cursor = before.advance(offsets)
            transaction.pending[self, stream] = cursor
            connection.execute(_ADVANCE, (cursor.base, cursor.encode(), self.group, *stream))
            transaction.after.append(partial(self._done, stream, cursor, offsets))

    def is_current(self, connection: apsw.Connection) -> bool:
        """Whether no other instance has taken this member over."""
        query = "SELECT instance FROM member WHERE grp = ? AND member = ?"
        return bool(connection.execute(query, (self.group, self.member)).get == self.instance)

    def crowd(self, connection: apsw.Connection) -> dict[str, float]:
        """The beats of those who leave no partition for this member, by name."""
        members = members_of(connection, self.group)
        readers = {one.name: frozenset[str]() if one.exclusive else one.topics for one in members}
        rows = connection.execute(
            "SELECT topic, part, owner FROM cursor WHERE grp = ?", (self.group,)
        )
        owners = {(topic, part): owner for topic, part, owner in rows}
        others = crowd(self.member, owners, readers)
        return {one.name: one.beat for one in members if one.name in others}

    def generation_of(self, connection: apsw.Connection) -> int:
        """A number that grows whenever members or owners of the group change."""
        query = "SELECT number FROM generation WHERE grp = ?"
        return connection.execute(query, (self.group,)).get or 0

    def fenced(self) -> Fenced:
        return Fenced(
            f"Another instance of {self.member!r} has taken over in group {self.group!r}, or this "
            "one was silent for a lease."
        )

    def _claimed(self, transaction: Transaction, stream: Stream, claim: Claim) -> Cursor:
        connection = transaction.connection
        holding = self.holdings.get(stream)
        epoch, owner = connection.execute(_OWNER, (self.group, *stream)).get or (0, "")
        if (
            holding is None
            or (epoch, owner) != (holding.epoch, self.member)
            or claim.epochs - {epoch}
        ):
            raise Fenced(
                f"{stream[0]}/{stream[1]} of group {self.group!r} belongs to {owner or 'nobody'!r} "
                f"under epoch {epoch}, not to what {self.member!r} took."
            )
        head = head_of(connection, stream)
        if max(claim.offsets) >= head or min(claim.offsets) < 0:
            raise BusError(
                f"Offset {max(claim.offsets)} of {stream[0]}/{stream[1]} cannot be completed: "
                f"the log ends at {head}."
            )
        pending: Cursor = transaction.pending.get((self, stream), holding.cursor)
        return pending

    def _done(self, stream: Stream, cursor: Cursor, offsets: set[int]) -> None:
        with self.lock:
            holding = self.holdings[stream]
            holding.cursor = cursor
            holding.open -= offsets

    def _rebalance(self, transaction: Transaction, changed: bool = False) -> None:
        connection = transaction.connection
        readers, died = self._live_readers(connection)
        changed = changed or died
        rows: list[Any] = connection.execute(
            "SELECT topic, part, base, done, epoch, owner FROM cursor WHERE grp = ?", (self.group,)
        ).fetchall()
        target = share({(row[0], row[1]): row[5] for row in rows}, readers)
        for topic, part, base, done, epoch, owner in rows:
            stream = (topic, part)
            wanted = target.get(stream) == self.member
            holding = self.holdings.get(stream)
            held = holding is not None and (epoch, owner) == (holding.epoch, self.member)
            free = owner == self.member or topic not in readers.get(owner, ())
            if holding is not None and held:
                if self._must_release(holding, wanted):
                    connection.execute(_RELEASE, (self.group, *stream, self.member))
                    transaction.after.append(partial(self._drop, stream))
                    changed = True
                continue
            if wanted and free:
                fresh = self._fresh(connection, stream, epoch + 1, base, done)
                connection.execute(_OWN, (self.member, epoch + 1, self.group, *stream))
                transaction.after.append(partial(self._hold, stream, fresh))
                changed = True
            else:
                if owner == self.member:
                    connection.execute(_RELEASE, (self.group, *stream, self.member))
                    changed = True
                transaction.after.append(partial(self._drop, stream))
        if changed:
            self._changed(transaction)
        generation = self.generation_of(connection)
        transaction.after.append(lambda: setattr(self, "generation", generation))

    def _live_readers(self, connection: apsw.Connection) -> tuple[dict[str, frozenset[str]], bool]:
        """The topics of every live member, what one reads alone being its own; and whether some
        have died. The dead are members no longer: one that was only silent has to join again."""
        living, dead = self._beats.look(connection)
        for member in dead:
            connection.execute(
                "DELETE FROM member WHERE grp = ? AND member = ? AND instance = ?",
                (self.group, member.name, member.instance),
            )
        alone = {member.name: member.topics for member in living if member.exclusive}
        taken: frozenset[str] = frozenset().union(*alone.values())
        shared = {member.name: member.topics - taken for member in living}
        return shared | alone, bool(dead)

    def _must_release(self, holding: Holding, wanted: bool) -> bool:
        with self.lock:
            holding.draining = not wanted
            return not wanted and not holding.open

    def _fresh(
        self, connection: apsw.Connection, stream: Stream, epoch: int, base: int, done: str
    ) -> Holding:
        cursor = cursor_of(self.group, stream, base, done)
        check_end(connection, stream, cursor.runs[-1][1] if cursor.runs else base)
        return Holding(epoch, cursor, base)

    def _hold(self, stream: Stream, holding: Holding) -> None:
        with self.lock:
            self.holdings[stream] = holding

    def _drop(self, stream: Stream) -> None:
        with self.lock:
            self.holdings.pop(stream, None)

    def _changed(self, transaction: Transaction) -> None:
        transaction.news = True
        transaction.connection.execute(
            "INSERT INTO generation VALUES (?, 1) "
            "ON CONFLICT (grp) DO UPDATE SET number = number + 1",
            (self.group,),
        )
