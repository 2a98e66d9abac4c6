"""Commits of more than one batch, and records of more than one: nothing is cut, nothing moves."""

import asyncio

from bus.events import Control
from bus.kafka.bus import KafkaBus
from bus.kafka.cluster.cluster import Cluster
from bus.records import Record
from tests.bus.contract.saying import control


def sized(index: int, num_bytes: int) -> Control:
    return control(index).model_copy(update={"settings": {"index": index, "x": "x" * num_bytes}})


def test_a_commit_of_many_batches_is_one_commit_in_one_order(cluster: Cluster) -> None:
    first = control(100)
    events = [sized(index, size) for index, size in enumerate([400_000] * 7 + [3_000_000] + [9])]

    async def scenario() -> list[Record]:
        bus, other = KafkaBus(cluster), KafkaBus(cluster)
        try:
            await bus.publish([first, *events[:4]])
            await bus.publish(events)
            return list(other.read("control"))
        finally:
            await bus.close()
            await other.close()

    records = asyncio.run(asyncio.wait_for(scenario(), 60))
    assert [record.event() for record in records] == [first, *events]
    assert [record.offset for record in records] == list(range(10))
    assert all(set(record.headers) >= {"ce_id", "ce_type"} for record in records)
    assert not any("journal" in record.headers for record in records)
