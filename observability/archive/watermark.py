"""What a log says of its archives. Knows no file."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from bus.errors import Unreadable
from bus.events import Watermark
from bus.groups import name_of
from bus.log import Log
from observability.replay.forks import forks

_PAGE = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Archived:
    """How much of a log its newest archive has: so many `events` since `at`, its own watermarks
    not counted, and so many of the log have come since."""

    location: str
    events: int
    at: datetime
    newer: int

    def __str__(self) -> str:
        return f"{self.events:,} events in {self.location}, {self.newer:,} newer ones"

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "at": self.at.isoformat()}


def archived(log: Log) -> Archived | None:
    """None where a log speaks of no archive."""
    mark = newest_watermark(log)
    if mark is None:
        return None
    events = sum(mark.ends.values())
    heads = {name_of(at): end for at, end in log.heads().items() if at[0] != Watermark.topic}
    return Archived(
        location=mark.location,
        events=events,
        at=mark.created_at,
        newer=sum(heads.values()) - events,
    )


def newest_watermark(log: Log, location: str | None = None) -> Watermark | None:
    """What was said last of an archive, of the one at `location` where that is named."""
    return next((mark for mark in watermarks(log) if location in (None, mark.location)), None)


def watermarks(log: Log) -> Iterator[Watermark]:
    """What was said last of each archive, the newest first. A parent's archive is not that of its
    fork."""
    stream = (Watermark.topic, 0)
    end = log.heads().get(stream, 0)
    if not end:
        return
    last = forks(log)[-1:]
    begin = last[0].parent.ends.get(name_of(stream), 0) if last else 0
    known = set[str]()
    while end > begin:
        start = max(begin, end - _PAGE)
        for record in reversed(list(log.read(*stream, start, end))):
            try:
                event = record.event()
            except Unreadable:
                continue
            if isinstance(event, Watermark) and event.location not in known:
                known.add(event.location)
                yield event
        end = start
