"""What the driver relies on, asked of a real broker: what is acknowledged is there for everybody,
in the order of the acknowledgements; and a topic that is made again is another one.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from aiokafka.structs import TopicPartition

from bus.kafka.cluster.cluster import Cluster
from bus.kafka.cluster.identity import topic_ids
from tests.bus.kafka.runs import create_topic

Scenario = Callable[[TopicPartition], Coroutine[Any, Any, None]]
Run = Callable[[Scenario], None]


@pytest.fixture
def run(cluster: Cluster) -> Run:
    """With a topic of one partition."""

    def run_scenario(scenario: Scenario) -> None:
        async def within() -> None:
            async with asyncio.timeout(60):
                await scenario(await create_topic(cluster, "facts"))

        asyncio.run(within())

    return run_scenario


def test_what_is_acknowledged_can_be_read_at_once_by_everybody(run: Run, cluster: Cluster) -> None:
    async def scenario(place: TopicPartition) -> None:
        one, other, consumer = cluster.producer(), cluster.producer(), cluster.consumer()
        for client in (one, other, consumer):
            await cluster.start(client)
        consumer.assign([place])
        consumer.seek(place, 0)
        for index in range(100):
            producer = (one, other)[index % 2]
            kept = await producer.send_and_wait(place.topic, b"%d" % index, partition=0)
            assert kept.offset == index
            assert (await consumer.end_offsets([place]))[place] == index + 1
        values: list[bytes] = []
        while len(values) < 100:
            page = await consumer.getmany(place, timeout_ms=700)
            values += [record.value for record in page.get(place, ())]
        assert values == [b"%d" % index for index in range(100)]
        for client in (one, other, consumer):
            await cluster.stop(client)

    run(scenario)


def test_a_broker_may_hear_of_a_topic_a_moment_later(run: Run, cluster: Cluster) -> None:
    async def scenario(place: TopicPartition) -> None:
        async def made_meanwhile() -> None:
            await asyncio.sleep(0.5)
            await create_topic(cluster, "later")

        async with cluster.admin() as admin, asyncio.TaskGroup() as group:
            group.create_task(made_meanwhile())
            assert (await topic_ids(admin, cluster, ["later"])).keys() == {"later"}

    run(scenario)


def test_a_topic_that_is_made_again_has_another_id(run: Run, cluster: Cluster) -> None:
    async def scenario(place: TopicPartition) -> None:
        async with cluster.admin() as admin:
            before = await topic_ids(admin, cluster, ["facts"])
            assert before == await topic_ids(admin, cluster, ["facts"])
            await admin.delete_topics([place.topic])
            await asyncio.sleep(1)
        await create_topic(cluster, "facts")
        async with cluster.admin() as admin:
            after = await topic_ids(admin, cluster, ["facts"])
        assert before.keys() == after.keys() == {"facts"}
        assert before != after

    run(scenario)
