"""What a scan of the log leaves behind: a few bytes for each record, which later checks fill in,
and a file with the ids. Knows no log.
"""

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from observability.audit import duties
from observability.audit.places import Places
from observability.audit.reading import Stream

ANSWERED, DEAD = 1, 2
"""The marks of a record: the one answer that it may have, a letter of the group that owes one."""

NO_VERSION = -1
OFFSET_BITS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A dead letter: where it lies, whose it is, and the record it is about."""

    place: str
    group: str
    origin: Stream
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """A start of the run: where it lies in `control`, and its recipe."""

    offset: int
    settings: Mapping[str, Any]


class Found(NamedTuple):
    """Where an event lies, when it is dated and when committed (0: nothing says it)."""

    part: "Part"
    offset: int
    seconds: int = 0
    commit: int = 0


@dataclass(slots=True, kw_only=True)
class Part:
    """One partition, by offset: `marks`; `version`, the oldest that drew a token of a judgment;
    `consumed_by`, number + 1 of the version that trained on a record, negative if it dropped it.
    """

    stream: Stream
    end: int
    marks: bytearray
    version: "array[int]"
    consumed_by: "array[int]"

    def place(self, offset: int) -> str:
        return f"{self.stream[0]}/{self.stream[1]}/{offset}"


@dataclass(slots=True, kw_only=True)
class Scanned:
    """What the audit knows of the log up to `ends`. `starts` are those of other settings than the
    start before, `asked` the offsets in `control` and the versions that somebody had measured."""

    parts: dict[Stream, Part]
    letters: list[Letter] = field(default_factory=list)
    places: Places = field(default_factory=Places)
    starts: list[Start] = field(default_factory=list)
    asked: list[tuple[int, int]] = field(default_factory=list)
    nameless: set[tuple[Stream, int]] = field(default_factory=set)
    streams: list[Stream] = field(default_factory=list)

    def find(self, event_id: str) -> "Found | None":
        """Where an event lies."""
        identity = identity_of(event_id)
        place = None if identity is None else self.places.find(identity)
        if place is None:
            return None
        part = self.parts[self.streams[place.at >> OFFSET_BITS]]
        return Found(part, place.at & (1 << OFFSET_BITS) - 1, place.seconds, place.commit)

    def setting(self, section: str, name: str) -> int | None:
        """A whole number that the run was first started with, None where nothing says it."""
        settings = self.starts[0].settings if self.starts else {}
        found = settings.get(section)
        value = found.get(name) if isinstance(found, dict) else None
        return value if isinstance(value, int) else None


def part_of(stream: Stream, end: int) -> Part:
    """Nothing known of it yet."""
    return Part(
        stream=stream,
        end=end,
        marks=bytearray(end),
        version=array("i", [NO_VERSION]) * (end if stream[0] == "judgments" else 0),
        consumed_by=array("i", [0]) * (end if stream[0] in duties.LEARNED_FROM else 0),
    )


def identity_of(event_id: str) -> bytes | None:
    """32 hex digits as 16 bytes, None for anything else."""
    try:
        identity = bytes.fromhex(event_id)
    except ValueError:
        return None
    return identity if len(identity) == 16 and identity.hex() == event_id else None
