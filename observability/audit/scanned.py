"""What a scan of the log leaves behind: facts by place, on disk, and the little that is said of a
whole run. Knows no log.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from observability.audit.facts.links import OFFSET_BITS
from observability.audit.facts.pages import Pages
from observability.audit.facts.snapshot import Edge
from observability.audit.reading import Stream
from observability.replay.forks import Fork


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """A start of the run: where it lies in `control`, and its recipe."""

    offset: int
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One partition, the stream with this `index`. What lies before `start` was audited before, but
    for what was `open` then; `in_one_piece` where its commits showed no order there."""

    index: int
    stream: Stream
    end: int
    start: int = 0
    open: frozenset[int] = frozenset()
    in_one_piece: bool = True

    def is_closed(self, offset: int) -> bool:
        """Whether a record had its outcome in an audit before."""
        return offset < self.start and offset not in self.open

    def offsets(self, low: int, high: int) -> Iterator[int]:
        """Those in [low, high) that are not closed."""
        return (offset for offset in range(low, high) if not self.is_closed(offset))

    def place(self, offset: int) -> str:
        return f"{self.stream[0]}/{self.stream[1]}/{offset}"

    def at(self, offset: int) -> int:
        """The place of a record as one number."""
        return self.index << OFFSET_BITS | offset


class Words:
    """Words that come again and again, as numbers: groups, agents, reasons."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._words: list[str] = []

    def number(self, word: str) -> int:
        number = self._numbers.setdefault(word, len(self._words))
        if number == len(self._words):
            self._words.append(word)
        return number

    def __getitem__(self, number: int) -> str:
        return self._words[number]

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._words))


@dataclass(slots=True, kw_only=True)
class Scanned:
    """What the audit knows of the log up to the ends of its `parts`, in the order of reading.
    `forks` are those that it went through, `starts` those of other settings than the start before,
    `asked` the offsets in `control` and the versions that somebody had measured; `groups` are those
    of dead letters."""

    parts: dict[Stream, Part]
    pages: Pages
    streams: list[Stream]
    forks: list[Fork] = field(default_factory=list)
    starts: list[Start] = field(default_factory=list)
    asked: list[tuple[int, int]] = field(default_factory=list)
    groups: Words = field(default_factory=Words)
    words: Words = field(default_factory=Words)
    edges: dict[Stream, Edge] = field(default_factory=dict)

    def place(self, at: int) -> str:
        """A place that is one number, in words."""
        return self.part_at(at).place(offset_of(at))

    def part_at(self, at: int) -> Part:
        return self.parts[self.streams[at >> OFFSET_BITS]]

    def recipes(self) -> list[tuple[int, Mapping[str, Any]]]:
        """What the run, and each of the forks on its way, was first started with, and the first
        version that is its own."""
        firsts = {fork.offset: fork.first_version for fork in self.forks}
        return [
            (firsts.get(start.offset, 0), start.settings)
            for number, start in enumerate(self.starts)
            if number == 0 or start.offset in firsts
        ]

    def recipe(self, version: int) -> Mapping[str, Any]:
        """What decided how a version was made, empty where nothing says it."""
        return next((said for first, said in reversed(self.recipes()) if first <= version), {})

    def setting(self, section: str, name: str, version: int) -> int | None:
        """A whole number that decided how a version was made, None where nothing says it."""
        return number_in(self.recipe(version), section, name)

    def settings(self, section: str, name: str, version: int = 0) -> list[int | None]:
        """What decided that, and what forks after it have said: what a version owes may have been
        due in one of them."""
        recipes = self.recipes()
        own = sum(first <= version for first, _ in recipes)
        found = [number_in(said, section, name) for _, said in recipes[max(own - 1, 0) :]]
        return found or [None]


def number_in(settings: Mapping[str, Any], section: str, name: str) -> int | None:
    """A whole number of stored settings."""
    found = settings.get(section)
    value = found.get(name) if isinstance(found, dict) else None
    return value if isinstance(value, int) else None


def offset_of(at: int) -> int:
    return at & (1 << OFFSET_BITS) - 1


def identity_of(event_id: str) -> bytes | None:
    """32 hex digits as 16 bytes, None for anything else."""
    try:
        identity = bytes.fromhex(event_id)
    except ValueError:
        return None
    return identity if len(identity) == 16 and identity.hex() == event_id else None
