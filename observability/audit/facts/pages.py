"""What is known of every record, by its place: rows of facts in pages of offsets, of which one is
in memory at a time. Knows no log.
"""

import struct
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from observability.audit.facts.spool import Spool

OFFSETS_AT_ONCE = 4096
"""So many offsets are a page."""

NOBODY = bytes(16)
NO_VERSION = -1
TRAINED = -1

(
    NAMED,
    NAMELESS,
    ANSWERED,
    LETTER,
    MISSED,
    CONSUMED,
    BELIEVED,
    GRANTED,
    SAID,
    STATE,
    DECIDED,
) = range(11)
"""The kinds of facts, with what their numbers mean:

    NAMED      the record has a readable id: version in its header, commit
    NAMELESS   it has none
    ANSWERED   where the answer lies
    LETTER     where the dead letter lies, number of the group, whether that group owes the record
    MISSED     it names an event that no scan saw: which kind of link
    CONSUMED   version that did it, number of the reason or `TRAINED`, commit of the version
    BELIEVED   end of the range from here on, version that consumed it
    GRANTED    number of the topic, how many answer a version there
    SAID       where the answer to a version lies, number of the topic, of the agent
    STATE      what a curriculum says: proposed, refused
    DECIDED    where a promotion lies, number of the agent, of the decision
"""


class Fact(NamedTuple):
    kind: int
    offset: int
    first: int
    second: int
    third: int
    identity: bytes


class Pages:
    """Of the streams with these `ends`, which are called by their numbers."""

    def __init__(self, folder: Path, ends: Sequence[int]) -> None:
        self._spool = Spool(folder, struct.Struct("<BQqqq16s"))
        self._ends = ends
        self._touched: set[tuple[int, int]] = set()
        self._bases = [0]
        for end in ends:
            self._bases.append(self._bases[-1] + 1 + end // OFFSETS_AT_ONCE)

    def add(
        self,
        stream: int,
        kind: int,
        offset: int,
        first: int = 0,
        second: int = 0,
        third: int = 0,
        identity: bytes = NOBODY,
    ) -> None:
        """A fact of the record at `offset`, which is below the end of its stream."""
        number = offset // OFFSETS_AT_ONCE
        self._touched.add((stream, number))
        bucket = self._bases[stream] + number
        self._spool.add(bucket, kind, offset, first, second, third, identity)

    def spans(self, stream: int, start: int = 0) -> Iterator[tuple[int, int]]:
        """The offsets [low, high) of every page of a stream, of those before that with `start` only
        where there are facts."""
        end, first = self._ends[stream], start // OFFSETS_AT_ONCE
        numbers = sorted(page for at, page in self._touched if at == stream and page < first)
        earlier = [page * OFFSETS_AT_ONCE for page in numbers] if first else []
        for low in (*earlier, *range(first * OFFSETS_AT_ONCE, end, OFFSETS_AT_ONCE)):
            yield low, min(low + OFFSETS_AT_ONCE, end)

    def facts(self, stream: int, low: int) -> Iterator[Fact]:
        """The facts of the page that begins at `low`, in the order of `add`."""
        bucket = self._bases[stream] + low // OFFSETS_AT_ONCE
        return map(Fact._make, self._spool.rows(bucket))

    def page(self, stream: int, low: int) -> "Page":
        """The page that begins at `low`, all of its facts at hand."""
        page = Page(low=low, high=min(low + OFFSETS_AT_ONCE, self._ends[stream]))
        for fact in self.facts(stream, low):
            page.take(fact)
        return page

    def page_of(self, stream: int, offset: int) -> "Page":
        return self.page(stream, offset - offset % OFFSETS_AT_ONCE)


@dataclass(slots=True, kw_only=True)
class Page:
    """The records [low, high) of a stream: `ids` and `commits` where they are known, the oldest
    `versions` that drew in them, and other facts of them in their order."""

    low: int
    high: int
    ids: dict[int, bytes] = field(default_factory=dict)
    nameless: set[int] = field(default_factory=set)
    versions: "array[int]" = field(default_factory=lambda: array("q"))
    commits: "array[int]" = field(default_factory=lambda: array("q"))
    answers: list[Fact] = field(default_factory=list)
    letters: list[Fact] = field(default_factory=list)
    missed: list[Fact] = field(default_factory=list)
    consumed: list[Fact] = field(default_factory=list)

    def __post_init__(self) -> None:
        size = self.high - self.low
        self.versions, self.commits = array("q", [NO_VERSION]) * size, array("q", [0]) * size

    def take(self, fact: Fact) -> None:
        at = fact.offset - self.low
        kind = fact.kind
        if kind == NAMED:
            self.ids[fact.offset] = fact.identity
            self.versions[at], self.commits[at] = fact.first, fact.second
        elif kind == NAMELESS:
            self.nameless.add(fact.offset)
        elif kind == ANSWERED:
            self.answers.append(fact)
        elif kind == LETTER:
            self.letters.append(fact)
        elif kind == MISSED:
            self.missed.append(fact)
        elif kind in (CONSUMED, BELIEVED):
            self.consumed.append(fact)

    def dead(self) -> set[int]:
        """What has a letter of the group that owes it an end."""
        return {letter.offset for letter in self.letters if letter.third}
