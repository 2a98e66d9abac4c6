"""What a scan of the log leaves behind: an id and a few bytes for each record, which later checks
fill in. Knows no log.
"""

from array import array
from dataclasses import dataclass, field

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
    """What the audit knows of the log up to `ends`."""

    parts: dict[Stream, Part]
    letters: list[Letter] = field(default_factory=list)
    max_staleness: int | None = None
    places: dict[bytes, int] = field(default_factory=dict)
    nameless: set[tuple[Stream, int]] = field(default_factory=set)
    streams: list[Stream] = field(default_factory=list)

    def find(self, event_id: str) -> tuple[Part, int] | None:
        """Where an event lies: its partition and offset."""
        identity = identity_of(event_id)
        at = None if identity is None else self.places.get(identity)
        if at is None:
            return None
        return self.parts[self.streams[at >> OFFSET_BITS]], at & (1 << OFFSET_BITS) - 1


def part_of(stream: Stream, end: int) -> Part:
    """Nothing known of it yet."""
    return Part(
        stream=stream,
        end=end,
        marks=bytearray(end),
        version=array("i", [NO_VERSION]) * (end if stream[0] == "judgments" else 0),
        consumed_by=array("i", [0]) * end,
    )


def identity_of(event_id: str) -> bytes | None:
    """32 hex digits as 16 bytes, None for anything else."""
    try:
        identity = bytes.fromhex(event_id)
    except ValueError:
        return None
    return identity if len(identity) == 16 and identity.hex() == event_id else None
