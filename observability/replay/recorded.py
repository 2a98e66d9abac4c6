"""What versions were learned from, read again from the log. Knows no judge and no learner."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import groupby

from bus.errors import BusError, Unreadable
from bus.events import Event
from bus.log import Log
from bus.records import Position, Positioned


def events_at(log: Log, places: Iterable[Positioned]) -> dict[Position, Event]:
    """Whatever can be read of the records at these places."""
    offsets: dict[tuple[str, int], set[int]] = defaultdict(set)
    for place in places:
        offsets[place.topic, place.partition].add(place.offset)
    return {
        Position(topic=topic, partition=partition, offset=offset): event
        for (topic, partition), wanted in sorted(offsets.items())
        for start, end in _runs(wanted)
        for offset, event in _events(log, topic, partition, start, end)
    }


def _runs(offsets: set[int]) -> Iterator[tuple[int, int]]:
    """Sorted, half open, so that neighbours are read at once."""
    for _, run in groupby(enumerate(sorted(offsets)), key=lambda each: each[1] - each[0]):
        found = [offset for _, offset in run]
        yield found[0], found[-1] + 1


def _events(
    log: Log, topic: str, partition: int, start: int, end: int
) -> Iterator[tuple[int, Event]]:
    records = []
    try:
        records = list(log.read(topic, partition, start, end))
    except BusError:
        # A page fails as a whole: what is beside the damage can be read.
        if end - start > 1:
            for offset in range(start, end):
                yield from _events(log, topic, partition, offset, offset + 1)
    for record in records:
        try:
            yield record.offset, record.event()
        except Unreadable:
            continue
