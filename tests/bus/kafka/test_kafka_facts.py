"""What the driver relies on, asked of a real broker: transactions, fencing, the length of what is
kept with an offset.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, ProducerFenced
from aiokafka.structs import OffsetAndMetadata, TopicPartition

from bus.kafka.cluster import Cluster
from bus.kafka.commits import MAX_METADATA
from tests.bus.kafka.runs import create_topic, kafkas_offset

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


async def started(cluster: Cluster, writer: str = "writer") -> AIOKafkaProducer:
    producer = cluster.producer(f"{cluster.app}.{writer}")
    await cluster.start(producer)
    return producer


async def visible(cluster: Cluster, place: TopicPartition) -> list[bytes]:
    consumer = cluster.consumer()
    await cluster.start(consumer)
    try:
        consumer.assign([place])
        consumer.seek(place, 0)
        pages = await consumer.getmany(timeout_ms=700)
        return [record.value for record in pages.get(place, ())]
    finally:
        await cluster.stop(consumer)


def test_records_and_offsets_of_a_transaction_show_when_it_commits(
    run: Run, cluster: Cluster
) -> None:
    async def scenario(place: TopicPartition) -> None:
        producer = await started(cluster)
        for end in (producer.abort_transaction, producer.commit_transaction):
            await producer.begin_transaction()
            await producer.send_and_wait(place.topic, b"one", partition=0)
            offsets = {place: OffsetAndMetadata(1, "cursor")}
            await producer.send_offsets_to_transaction(offsets, f"{cluster.app}.group")
            assert await visible(cluster, place) == []
            assert await kafkas_offset(cluster, place) is None
            await end()
        assert await visible(cluster, place) == [b"one"]
        assert await kafkas_offset(cluster, place) == OffsetAndMetadata(1, "cursor")
        await cluster.stop(producer)

    run(scenario)


def test_a_newer_writer_of_a_name_stops_the_older_at_its_next_transaction(
    run: Run, cluster: Cluster
) -> None:
    async def scenario(place: TopicPartition) -> None:
        old = await started(cluster)
        new = await started(cluster)
        await old.begin_transaction()
        with pytest.raises(ProducerFenced):
            await old.send_and_wait(place.topic, b"old", partition=0)
        async with new.transaction():
            await new.send_and_wait(place.topic, b"new", partition=0)
        assert await visible(cluster, place) == [b"new"]
        for producer in (old, new):
            await cluster.stop(producer)

    run(scenario)


def test_a_newer_writer_of_a_name_undoes_what_the_older_has_open(
    run: Run, cluster: Cluster
) -> None:
    async def scenario(place: TopicPartition) -> None:
        old = await started(cluster)
        await old.begin_transaction()
        await old.send_and_wait(place.topic, b"old", partition=0)
        new = await started(cluster)
        with pytest.raises(ProducerFenced):
            await old.commit_transaction()
        async with new.transaction():
            await new.send_and_wait(place.topic, b"new", partition=0)
        assert await visible(cluster, place) == [b"new"]
        for producer in (old, new):
            await cluster.stop(producer)

    run(scenario)


def test_one_character_too_many_with_an_offset_is_the_end_of_a_producer(
    run: Run, cluster: Cluster
) -> None:
    async def scenario(place: TopicPartition) -> None:
        group = f"{cluster.app}.group"
        # The client tells the loop of an error that it has told us too.
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        producer = await started(cluster)
        async with producer.transaction():
            longest = {place: OffsetAndMetadata(1, "x" * MAX_METADATA)}
            await producer.send_offsets_to_transaction(longest, group)
        await producer.begin_transaction()
        with pytest.raises(KafkaError):
            too_long = {place: OffsetAndMetadata(2, "x" * (MAX_METADATA + 1))}
            await producer.send_offsets_to_transaction(too_long, group)
        with pytest.raises((AssertionError, KafkaError)):
            await producer.abort_transaction()
        await cluster.stop(producer)
        again = await started(cluster)
        kept = await kafkas_offset(cluster, place)
        assert kept == OffsetAndMetadata(1, "x" * MAX_METADATA)
        await cluster.stop(again)

    run(scenario)


def test_transactions_that_follow_each_other_do_not_wait_for_the_usual_back_off(
    run: Run, cluster: Cluster
) -> None:
    async def scenario(place: TopicPartition) -> None:
        producer = await started(cluster)
        assert producer._sender._retry_backoff <= 0.02
        await cluster.stop(producer)

    run(scenario)
