"""Where a log is that of another run: a fork begins with the records of its parent, and the first
that it says itself names that. Knows no driver."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from bus.errors import Unreadable
from bus.events import Control, Event, Parent
from bus.groups import Stream, name_of
from bus.log import Log
from bus.records import Record

_NAMES_A_PARENT = b'"parent":{'


@dataclass(frozen=True, slots=True, kw_only=True)
class Fork:
    """The start of a fork, at an `offset` in `control`."""

    offset: int
    start: Control
    parent: Parent

    @property
    def run(self) -> str:
        return self.start.run

    @property
    def first_version(self) -> int:
        """The first that is its own."""
        return 0 if self.parent.version is None else self.parent.version + 1

    def has(self, stream: Stream, offset: int) -> bool:
        """Whether a record is its own, and not its parent's."""
        return offset >= self.parent.ends.get(name_of(stream), 0)


def forks(log: Log) -> list[Fork]:
    """The forks that a log went through, oldest first; none where it is that of one run."""
    return forks_among(log.read(Control.topic))


def forks_among(records: Iterable[Record]) -> list[Fork]:
    """The same, of the records of `control`."""
    found = []
    for record in records:
        if _NAMES_A_PARENT in record.value:
            event = _read(record)
            if isinstance(event, Control) and event.parent is not None:
                found.append(Fork(offset=record.offset, start=event, parent=event.parent))
    return found


def said_of(forks: Sequence[Fork]) -> str:
    """Of which run and version the last of them is a fork, "" for none."""
    if not forks:
        return ""
    parent = forks[-1].parent
    at = "before version 0" if parent.version is None else f"at version {parent.version}"
    return f"forked from {parent.run} {at}"


def run_of(forks: Sequence[Fork], stream: Stream, offset: int) -> str | None:
    """Whose record it is, None where no fork says it: then it is that of the only run."""
    for fork in forks:
        if not fork.has(stream, offset):
            return fork.parent.run
    return forks[-1].run if forks else None


def run_on(log: Log) -> str | None:
    """The run whose log it is, None while there is nothing on it."""
    if found := forks(log):
        return found[-1].run
    return next((event.run for event in _first_events(log)), None)


def _first_events(log: Log) -> Iterator[Event]:
    heads = log.heads()
    for topic in ("control", "weights"):
        for record in log.read(topic, end=min(1, heads[topic, 0])):
            event = _read(record)
            if event is not None:
                yield event


def _read(record: Record) -> Event | None:
    try:
        return record.event()
    except Unreadable:
        return None
