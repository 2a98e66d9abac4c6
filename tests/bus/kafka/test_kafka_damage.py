"""What was done to the topics of a run behind its back: each is one sentence that says where, and
no wrong record is ever delivered. What strangers wrote into the journal is passed over.
"""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete
from aiokafka.structs import TopicPartition

from bus.errors import BusError, Unreachable
from bus.kafka.bus import KafkaBus
from bus.kafka.cluster.cluster import Cluster
from bus.kafka.cluster.topics import JOURNAL, wanted_settings
from bus.log import Stray
from tests.bus.contract.saying import control, index_of, take_all

Scenario = Callable[[KafkaBus], Awaitable[None]]


def run(cluster: Cluster, scenario: Scenario) -> None:
    async def within() -> None:
        bus = await asyncio.to_thread(KafkaBus, cluster)
        try:
            async with asyncio.timeout(60):
                await scenario(bus)
        finally:
            await bus.close()

    asyncio.run(within())


async def recreate(cluster: Cluster, name: str) -> None:
    """Delete a topic of one partition and make it again as it should be."""
    topic = cluster.topic(name)
    async with cluster.admin() as admin:
        await admin.delete_topics([topic])
        await seen(admin, topic, there=False)
        settings = wanted_settings(name, 1)
        await admin.create_topics([NewTopic(topic, 1, 1, topic_configs=settings)])
        await seen(admin, topic, there=True)


async def seen(admin: AIOKafkaAdminClient, topic: str, *, there: bool) -> None:
    while (topic in await admin.list_topics()) != there:  # noqa: ASYNC110
        await asyncio.sleep(0.1)
    await asyncio.sleep(0.5)


async def delete_before(cluster: Cluster, name: str, offset: int) -> None:
    async with cluster.admin() as admin:
        place = TopicPartition(cluster.topic(name), 0)
        await admin.delete_records({place: RecordsToDelete(before_offset=offset)})


def refused(cluster: Cluster, match: str, *, create: bool = False) -> None:
    with pytest.raises(BusError, match=match) as error:
        KafkaBus(cluster, create=create)
    assert not isinstance(error.value, Unreachable)
    assert "\n" not in str(error.value)


def test_strangers_in_the_journal_are_passed_over_and_counted(cluster: Cluster) -> None:
    async def scenario(bus: KafkaBus) -> None:
        await bus.publish([control(0)])
        producer = AIOKafkaProducer(bootstrap_servers=cluster.bootstrap_servers)
        await producer.start()
        for value in (b"hello", None, b"{}", b'{"kind":"commit","id":7}'):
            await producer.send_and_wait(cluster.topic(JOURNAL), value, b"key", partition=0)
        await producer.stop()
        await bus.publish([control(1)])
        again = await asyncio.to_thread(KafkaBus, cluster)
        for one in (bus, again):
            assert [index_of(record) for record in one.read("control")] == [0, 1]
            assert one.strays() == [
                Stray(stream=(JOURNAL, 0), raw=raw, event_id="", ours=False) for raw in (2, 3, 4, 5)
            ]
        await again.close()

    run(cluster, scenario)


def test_a_topic_that_was_made_again_is_refused(cluster: Cluster) -> None:
    async def scenario(bus: KafkaBus) -> None:
        await bus.publish([control(index) for index in range(5)])
        await bus.close()
        await recreate(cluster, "control")
        refused(cluster, r"\.control is not the one that this log was written to")
        refused(cluster, r"\.control is not the one", create=True)

    run(cluster, scenario)


def test_a_journal_that_lost_its_beginning_is_told_as_such(cluster: Cluster) -> None:
    async def scenario(bus: KafkaBus) -> None:
        for index in range(5):
            await bus.publish([control(index)])
        await bus.close()
        await delete_before(cluster, JOURNAL, 3)
        refused(cluster, r"journal .* has lost its beginning: .* at Kafka's offset 3")

    run(cluster, scenario)


def test_a_journal_that_was_emptied_is_told_as_such(cluster: Cluster) -> None:
    async def scenario(bus: KafkaBus) -> None:
        await bus.publish([control(0)])
        await bus.close()
        await recreate(cluster, JOURNAL)
        refused(cluster, r"journal of .* is empty, but .*\.control/0 holds 1 records")
        refused(cluster, "is empty", create=True)

    run(cluster, scenario)


def test_records_that_are_gone_are_named_and_nobody_waits_for_them(cluster: Cluster) -> None:
    async def scenario(bus: KafkaBus) -> None:
        await bus.publish([control(index) for index in range(6)])
        async with bus.subscribe(["control"], "group", "member") as subscription:
            await subscription.complete(await take_all(subscription, 2), [])
        await delete_before(cluster, "control", 4)
        async with asyncio.timeout(50):
            with pytest.raises(BusError, match=r"\.control/0 cannot be read from Kafka's offset 0"):
                await asyncio.to_thread(lambda: list(bus.read("control")))
            assert [index_of(one) for one in bus.read("control", 0, 4)] == [4, 5]
            late = bus.subscribe(["control"], "group", "member")
            with pytest.raises(BusError, match=r"records were deleted|not in the topic"):
                await late.take(1)

    run(cluster, scenario)


def test_another_record_at_the_place_of_one_is_never_delivered(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(bus: KafkaBus) -> None:
        await bus.publish([control(index) for index in range(3)])
        await bus.close()
        await recreate(cluster, "control")
        producer = cluster.producer()
        await cluster.start(producer)
        for index in range(3, 6):
            headers = [("ce_id", control(index).id.encode())]
            await producer.send_and_wait(
                cluster.topic("control"), b"{}", partition=0, headers=headers
            )
        await cluster.stop(producer)
        # Brokers before 2.8 know no ids: each record is compared all the same.
        monkeypatch.setattr("bus.kafka.bus.check_ids", lambda *_: None)
        again = await asyncio.to_thread(KafkaBus, cluster)
        async with asyncio.timeout(50):
            with pytest.raises(BusError, match=r"offset 0 of .*\.control/0 holds .* not"):
                await asyncio.to_thread(lambda: list(again.read("control")))
            late = again.subscribe(["control"], "group", "member")
            with pytest.raises(BusError, match=r"offset 0 of .*\.control/0 holds .* not"):
                await late.take(1)
        await again.close()

    run(cluster, scenario)
