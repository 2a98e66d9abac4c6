"""Records that are too large, or that no event can be made of: each ends as a dead letter or as one
sentence, and its partition goes on.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from bus.codec import MAX_VALUE_BYTES
from bus.errors import BusError
from bus.events import Control, Event
from bus.kafka.bus import KafkaBus
from bus.kafka.cluster.cluster import MAX_MESSAGE_BYTES, Cluster
from bus.runner import Runner
from tests.bus.contract.saying import answer_to, control, index_of, take_all

SOON = 30.0
LARGEST = MAX_MESSAGE_BYTES - 1024


class Answering:
    async def handle(self, event: Control) -> Sequence[Event]:
        return []


@pytest.fixture
def run(cluster: Cluster) -> Callable[[Callable[[KafkaBus], Awaitable[None]]], None]:
    def run_scenario(scenario: Callable[[KafkaBus], Awaitable[None]]) -> None:
        async def within() -> None:
            bus = KafkaBus(cluster)
            try:
                async with asyncio.timeout(90):
                    await scenario(bus)
            finally:
                await bus.close()

        asyncio.run(within())

    return run_scenario


Run = Callable[[Callable[[KafkaBus], Awaitable[None]]], None]


def heavy(index: int, num_bytes: int) -> Control:
    return control(index).model_copy(update={"settings": {"index": index, "text": "x" * num_bytes}})


async def set_limit(cluster: Cluster, topic: str, num_bytes: int) -> None:
    async with cluster.admin() as admin:
        limit = {"max.message.bytes": str(num_bytes)}
        name = cluster.topic(topic)
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, configs=limit)])


async def write_plainly(cluster: Cluster, topic: str, *values: bytes | None) -> None:
    """As a program that knows nothing of us, with all its own settings."""
    producer = AIOKafkaProducer(
        bootstrap_servers=cluster.bootstrap_servers, max_request_size=64 * 1024 * 1024
    )
    await producer.start()
    try:
        for value in values:
            await producer.send_and_wait(
                cluster.topic(topic),
                value,
                key=b"\xff\xfe",
                partition=0,
                headers=[("\x00", b"\xff")],
            )
    finally:
        await producer.stop()


def test_outputs_too_large_for_the_wire_are_refused_before_anything_is_written(run: Run) -> None:
    async def scenario(bus: KafkaBus) -> None:
        await bus.publish([control(0)])
        async with bus.subscribe(["control"], "group", "member") as subscription:
            taken = await take_all(subscription, 1)
            with pytest.raises(BusError, match="are allowed"):
                await subscription.complete(taken, [answer_to(taken[0]), heavy(1, MAX_VALUE_BYTES)])
            assert bus.heads()["promotions", 0] == 0
            await subscription.complete(taken, [answer_to(taken[0])])
        assert bus.heads()["promotions", 0] == 1

    run(scenario)


def test_outputs_too_large_for_their_topic_are_refused_and_the_writer_lives_on(
    run: Run, cluster: Cluster
) -> None:
    async def scenario(bus: KafkaBus) -> None:
        await set_limit(cluster, "control", 200_000)
        await bus.publish([control(0)])
        async with bus.subscribe(["control"], "group", "member") as subscription:
            taken = await take_all(subscription, 1)
            outputs = [answer_to(taken[0]), heavy(1, 400_000)]
            with pytest.raises(BusError, match="too large") as refused:
                await asyncio.wait_for(subscription.complete(taken, outputs), SOON)
            assert "\n" not in str(refused.value)
            assert bus.heads()["promotions", 0] == 0
            assert [lag.backlog for lag in bus.lag("group")] == [1]
            await subscription.complete(taken, [answer_to(taken[0])])
        assert bus.heads()["promotions", 0] == 1

    run(scenario)


def test_the_largest_event_passes(run: Run) -> None:
    async def scenario(bus: KafkaBus) -> None:
        await bus.publish([heavy(index, MAX_VALUE_BYTES - 1000) for index in range(3)])
        async with bus.subscribe(["control"], "group", "member") as subscription:
            taken = await take_all(subscription, 3)
            assert [index_of(one.record) for one in taken] == [0, 1, 2]
            await subscription.complete(taken, [])

    run(scenario)


def test_what_other_programs_write_ends_as_dead_letters_and_the_partition_goes_on(
    run: Run, cluster: Cluster
) -> None:
    async def scenario(bus: KafkaBus) -> None:
        # Larger than what we ask for at a time, and than what we would write ourselves.
        await set_limit(cluster, "control", 2 * MAX_MESSAGE_BYTES)
        await bus.publish([control(0)])
        garbage = (b"poison", b"\xff" * 10, b"x" * LARGEST, b"y" * (MAX_MESSAGE_BYTES + 10), None)
        await write_plainly(cluster, "control", *garbage)
        await bus.publish([control(1)])
        async with bus.subscribe(["control"], "group", "member") as subscription:
            runner = Runner(Answering(), subscription, group="group", run="run", concurrency=4)
            stop = asyncio.Event()
            running = asyncio.create_task(runner.run(stop))
            async with asyncio.timeout(60):
                while runner.counters.handled + runner.counters.rejected < len(garbage) + 2:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            stop.set()
            await running
            assert (runner.counters.handled, runner.counters.rejected) == (2, len(garbage))
        assert [lag.backlog for lag in bus.lag("group")] == [0]
        letters = [json.loads(record.value) for record in bus.read("control.dead")]
        assert len(letters) == len(garbage)
        assert len({letter["origin_offset"] for letter in letters}) == len(garbage)

    run(scenario)


def test_what_strangers_wrote_while_nobody_read_is_delivered_although_commits_overtook_it(
    run: Run, cluster: Cluster
) -> None:
    async def scenario(bus: KafkaBus) -> None:
        await bus.publish([control(0), control(1)])
        async with bus.subscribe(["control"], "group", "member") as subscription:
            await subscription.complete(await take_all(subscription, 2), [])
        await write_plainly(cluster, "control", b"a stranger's")
        await bus.publish([control(2)])
        async with bus.subscribe(["control"], "group", "member") as subscription:
            taken = await take_all(subscription, 2)
            assert sorted(one.record.value for one in taken)[0] == b"a stranger's"
            await subscription.complete(taken, [])
        assert bus.strays() == []

    run(scenario)
