"""Who names whom, by id: every event of a log against those that answer it, in buckets of ids of
which one fits into memory. Knows no log.
"""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from observability.audit.facts.spool import Spool

EVENTS_AT_ONCE = 16_384
"""About so many events are in memory at a time."""

EVENT, CAUSE, OBJECTIVE, SAID = range(4)
"""An event lies there; an event names that one as what it answers, as its objective; says more of
what it answers."""

OFFSET_BITS = 40


class Place(NamedTuple):
    """`at` is where an event lies: the number of its stream, and its offset in `OFFSET_BITS`;
    `seconds` when it is dated, `commit` when it was committed among others (0: nothing says it)."""

    at: int
    seconds: int
    commit: int


class Link(NamedTuple):
    """The event at `place` names the one with `identity`, which was seen `first` there, None where
    it was not. An `EVENT` that names itself is its second. `more` is what its writer wanted."""

    kind: int
    identity: bytes
    place: Place
    more: int
    first: Place | None


class Links:
    """Of about so many events."""

    def __init__(self, folder: Path, events: int) -> None:
        self._spool = Spool(folder, struct.Struct("<B16sQqqi"))
        self._buckets = 1 + events // EVENTS_AT_ONCE

    def add(self, kind: int, identity: bytes, place: Place, more: int = 0) -> None:
        """Causes before what names them."""
        self._spool.add(zlib.crc32(identity) % self._buckets, kind, identity, *place, more)

    def joined(self) -> Iterator[Link]:
        """Everything that names an event, those that name the same one in the order of `add`;
        and every event whose id another has already."""
        for bucket in range(self._buckets):
            known: dict[bytes, Place] = {}
            for kind, identity, at, seconds, commit, more in self._spool.rows(bucket):
                place = Place(at, seconds, commit)
                first = known.get(identity)
                if kind != EVENT:
                    yield Link(kind, identity, place, more, first)
                elif first is None:
                    known[identity] = place
                elif first.at != at:
                    yield Link(kind, identity, place, more, first)
