"""The versions of a log as a graph: each with its parent and where it lies what it consumed. One
pass over the topic `weights`, so that many versions take little time. Knows no judgment.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from pydantic import BeforeValidator, TypeAdapter, ValidationError

from bus.events import Weights
from bus.log import Log

Ranges = dict[str, tuple[tuple[int, int], ...]]


def _summed(batch: list[dict[str, int]]) -> tuple[int, int]:
    """Samples and right ones of a batch: of thousands of versions no more is to be in memory."""
    samples = sum(level["samples"] for level in batch)
    return samples, sum(level["correct"] for level in batch)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """What the lineage of a version needs of its event; `batch` are the samples and the right ones
    of its batch."""

    id: str
    run: str
    number: int
    parent: int | None = None
    parent_id: str | None = None
    created_at: datetime
    location: str
    trained: int = 0
    dropped: int = 0
    positions: Ranges
    batch: Annotated[tuple[int, int], BeforeValidator(_summed)] = (0, 0)

    def num_consumed(self, topic: str) -> int:
        """How many records of a topic it consumed."""
        return sum(end - start for _, start, end in self.ranges(topic))

    def ranges(self, topic: str) -> Iterator[tuple[int, int, int]]:
        """Partition, start and end of what it consumed of a topic, in the order of the log."""
        for place, ranges in sorted(self.positions.items()):
            name, _, partition = place.rpartition("/")
            if name == topic:
                for start, end in ranges:
                    yield int(partition), start, end

    def consumed(self, topic: str, partition: int, offset: int) -> bool:
        ranges = self.positions.get(f"{topic}/{partition}", ())
        place = bisect_right(ranges, (offset, float("inf"))) - 1
        return place >= 0 and ranges[place][0] <= offset < ranges[place][1]


_LINK: TypeAdapter[Link] = TypeAdapter(Link)
_TYPE = f"evolvent.{Weights.type()}"


class Chain:
    """The versions of a log by id, in its order: of each its parent is there too, or it is a first
    one."""

    def __init__(self, log: Log) -> None:
        self._links: dict[str, Link] = {}
        self._end = 0
        self.read_on(log)

    def read_on(self, log: Log) -> None:
        """What the log has gained since."""
        for record in log.read(Weights.topic, start=self._end):
            self._end = record.offset + 1
            if record.headers.get("ce_type") != _TYPE:
                continue
            try:
                link = _LINK.validate_json(record.value)
            except (ValidationError, KeyError, TypeError):
                continue
            if link.id == record.event_id and self._follows(link):
                self._links[link.id] = link

    def _follows(self, link: Link) -> bool:
        parent = self._links.get(link.parent_id or "")
        if parent is None:
            return link.number == 0 and link.parent_id is None
        return parent.number == link.parent and parent.number < link.number

    def __len__(self) -> int:
        return len(self._links)

    def __iter__(self) -> Iterator[Link]:
        return iter(self._links.values())

    def get(self, event_id: str) -> Link | None:
        return self._links.get(event_id)

    def numbered(self, number: int) -> Link | None:
        """The first of a number."""
        return next((link for link in self if link.number == number), None)

    def path(self, link: Link) -> list[Link]:
        """A version and its forebears, the newest first, down to version 0."""
        found = [link]
        while found[-1].parent_id is not None:
            found.append(self._links[found[-1].parent_id])
        return found

    def descendants(self, link: Link) -> list[Link]:
        """The versions that stand on one, in the order of the log."""
        known = {link.id}
        found = []
        for other in self:
            if other.parent_id in known:
                known.add(other.id)
                found.append(other)
        return found

    def consumers(self, topic: str, partition: int, offset: int) -> list[Link]:
        """The versions that consumed a record: one, or several where there are branches."""
        return [link for link in self if link.consumed(topic, partition, offset)]
