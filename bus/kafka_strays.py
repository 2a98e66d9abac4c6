"""What lies in the topics of a run without a place on its log: copies of events that have one, and
what nobody has read or nobody was allowed to write. For an audit. Knows no group.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from bus.shares import Stream

if TYPE_CHECKING:
    from bus.kafka_cluster import Cluster


@dataclass(frozen=True, slots=True, kw_only=True)
class Stray:
    """`ours` was written by a bus: its commit came too late, or another had the same event."""

    stream: Stream
    raw: int
    event_id: str
    ours: bool


@runtime_checkable
class HasStrays(Protocol):
    """A log in topics that every program can read and write."""

    def strays(self) -> list[Stray]: ...


async def find_strays(cluster: "Cluster", known: Mapping[Stream, Iterable[int]]) -> list[Stray]:
    """Every committed record whose offset in Kafka is not `known`; raises `KafkaError`."""
    from aiokafka.structs import TopicPartition

    from bus.kafka_pages import is_blank, is_ours, record_of

    streams = {TopicPartition(cluster.topic(at[0]), at[1]): at for at in known}
    placed = {at: set(raws) for at, raws in known.items()}
    consumer = cluster.consumer(max_wait_seconds=0.05)
    await cluster.start(consumer)
    try:
        ends = await consumer.end_offsets(list(streams))
        left = {place for place, end in ends.items() if end}
        consumer.assign(list(left))
        for place in left:
            consumer.seek(place, 0)
        found: list[Stray] = []
        while left:
            for place, records in (await consumer.getmany(*left, timeout_ms=200)).items():
                at = streams[place]
                found += [
                    Stray(
                        stream=at,
                        raw=one.offset,
                        event_id=record_of(at, -1, one).event_id,
                        ours=is_ours(one),
                    )
                    for one in records
                    if one.offset not in placed[at] and not is_blank(one)
                ]
            left = {place for place in left if await consumer.position(place) < ends[place]}
        return found
    finally:
        await cluster.stop(consumer)
