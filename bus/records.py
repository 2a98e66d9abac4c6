"""Events as records: where one lies on the log, and how it is handed over. Knows no driver."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from bus.codec import decode, encode
from bus.errors import BusError
from bus.events import Event
from bus.topics import Topic, partition_of


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Position:
    """Names one record of the log."""

    topic: str
    partition: int
    offset: int


class Positioned(Protocol):
    """Whatever names a record: a `Position` or a `Delivery`."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One event as it lies on the log: CloudEvents binary mode, headers and body."""

    topic: str
    partition: int
    offset: int
    key: str
    headers: dict[str, str]
    value: bytes

    @property
    def event_id(self) -> str:
        return self.headers.get("ce_id", "")

    def event(self) -> Event:
        """The event; raises `Unreadable`."""
        return decode(self.headers, self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A record handed to a member of a group, under the owner's epoch."""

    record: Record
    epoch: int

    @property
    def topic(self) -> str:
        return self.record.topic

    @property
    def partition(self) -> int:
        return self.record.partition

    @property
    def offset(self) -> int:
        return self.record.offset

    def event(self) -> Event:
        """The event; raises `Unreadable`."""
        return self.record.event()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag:
    """How far a group is behind on one partition: `backlog` records are not done."""

    topic: str
    partition: int
    base: int
    done: int
    end: int
    epoch: int = 0
    owner: str = ""

    @property
    def backlog(self) -> int:
        return self.end - self.base - self.done


class Encoded(NamedTuple):
    event: Event
    topic: str
    partition: int
    key: str
    headers: dict[str, str]
    value: bytes


def encoded(events: Iterable[Event], topics: Mapping[str, Topic]) -> list[Encoded]:
    """Raises `BusError` before anything is written."""
    found = []
    for event in events:
        topic = topics.get(event.channel)
        if topic is None:
            raise BusError(f"There is no topic {event.channel!r}: there are {', '.join(topics)}.")
        key, headers, value = encode(event)
        partition = partition_of(key, topic.partitions)
        found.append(Encoded(event, topic.name, partition, key, headers, value))
    return found


def to_records(events: Sequence[Event], topics: Mapping[str, Topic]) -> list[Record]:
    """Raises `BusError` before anything is written."""
    return [
        Record(
            topic=one.topic,
            partition=one.partition,
            offset=-1,
            key=one.key,
            headers=one.headers,
            value=one.value,
        )
        for one in encoded(events, topics)
    ]


def check_places(records: Iterable[Record], topics: Mapping[str, Topic]) -> None:
    """Raises `BusError` for a partition that is not among those of `topics`."""
    for record in records:
        topic = topics.get(record.topic)
        if topic is None or not 0 <= record.partition < topic.partitions:
            raise BusError(f"There is no partition {record.topic}/{record.partition} on this log.")
