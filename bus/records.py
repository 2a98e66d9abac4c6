"""Events as records that have no place on the log yet. Knows no driver."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from bus.bus import BusError, Record, Topic
from bus.codec import encode
from bus.events import Event
from bus.topics import partition_of


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
