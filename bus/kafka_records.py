"""Events as records that have no place on the log yet. Knows no broker."""

from collections.abc import Mapping, Sequence

from bus.bus import BusError, Record, Topic
from bus.codec import encode
from bus.events import Event
from bus.topics import partition_of


def to_records(events: Sequence[Event], topics: Mapping[str, Topic]) -> list[Record]:
    """Raises `BusError` before anything is written."""
    records = []
    for event in events:
        topic = topics.get(event.channel)
        if topic is None:
            raise BusError(f"There is no topic {event.channel!r}: there are {', '.join(topics)}.")
        key, headers, value = encode(event)
        records.append(
            Record(
                topic=topic.name,
                partition=partition_of(key, topic.partitions),
                offset=-1,
                key=key,
                headers=headers,
                value=value,
            )
        )
    return records
