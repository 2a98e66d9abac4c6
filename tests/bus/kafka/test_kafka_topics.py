"""Topics of a run on Kafka: made as they should be, and refused when they are not."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
from aiokafka.admin import NewPartitions
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from bus.errors import BusError
from bus.kafka.bus import KafkaBus
from bus.kafka.cluster.cluster import MAX_MESSAGE_BYTES, Cluster
from bus.kafka.cluster.sizes import topic_bytes
from bus.kafka.cluster.topics import (
    JOURNAL,
    LATER,
    KafkaTopic,
    inspect,
    prepare,
    problems,
    wanted_settings,
)
from bus.topics import TOPICS
from tests.bus.contract.saying import task


def look(cluster: Cluster) -> dict[str, KafkaTopic]:
    async def within() -> list[KafkaTopic]:
        async with cluster.admin() as admin:
            return await inspect(admin, cluster, TOPICS)

    return {topic.name: topic for topic in asyncio.run(within())}


def make(cluster: Cluster) -> None:
    asyncio.run(prepare(cluster, TOPICS, create=True))


def wait_until(seen: Callable[[], bool]) -> None:
    """The broker takes an alteration on a little later."""
    deadline = time.monotonic() + 10
    while not seen():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def alter(cluster: Cluster, name: str, settings: Mapping[str, str]) -> None:
    """As an operator does with Kafka's own tools."""

    # What an alteration does not name falls back to the broker's default.
    wanted = {**wanted_settings(name, 1), **settings}

    async def within() -> None:
        async with cluster.admin() as admin:
            topic = ConfigResource(ConfigResourceType.TOPIC, cluster.topic(name), wanted)
            await admin.alter_configs([topic])

    asyncio.run(within())
    wait_until(lambda: settings.items() <= look(cluster)[name].settings.items())


def test_topics_are_made_to_keep_everything_for_ever(cluster: Cluster) -> None:
    assert all(topic.missing for topic in look(cluster).values())
    with pytest.raises(BusError, match="is missing"):
        asyncio.run(prepare(cluster, TOPICS, create=False))
    make(cluster)
    found = look(cluster)
    assert found.keys() == {*TOPICS, "journal", "beats", "snapshots"}
    for name in (*TOPICS, JOURNAL):
        settings = found[name].settings
        assert (settings["retention.ms"], settings["retention.bytes"]) == ("-1", "-1")
        assert settings["cleanup.policy"] == "delete"
        assert int(settings["max.message.bytes"]) == MAX_MESSAGE_BYTES
    assert {name: topic.partitions for name, topic in found.items() if topic.partitions > 1} == {
        "tasks": 4,
        "attempts": 4,
        "judgments": 4,
    }
    assert not any(topic.amiss() for topic in found.values())
    make(cluster)


@pytest.mark.parametrize(
    ("name", "setting", "value", "why"),
    [
        ("tasks", "retention.ms", "604800000", "old events are deleted"),
        ("weights", "retention.bytes", "1000000000", "old events are deleted"),
        ("weights", "cleanup.policy", "compact", "compaction drops events"),
        ("journal", "cleanup.policy", "compact,delete", "compaction drops events"),
        ("attempts.dead", "max.message.bytes", "1048588", "large events are refused"),
    ],
)
def test_a_topic_that_would_lose_events_is_refused(
    cluster: Cluster, name: str, setting: str, value: str, why: str
) -> None:
    make(cluster)
    alter(cluster, name, {setting: value})
    with pytest.raises(BusError, match=f"{setting}={value}.*{why}") as refused:
        KafkaBus(cluster)
    remedy = f"--add-config {setting}={wanted_settings(name, 1)[setting]}"
    assert f"--entity-name {cluster.topic(name)} {remedy}" in str(refused.value)
    alter(cluster, name, {setting: wanted_settings(name, 1)[setting]})
    asyncio.run(KafkaBus(cluster).close())


def test_more_room_than_needed_and_the_upkeep_of_beats_are_nobodys_concern(
    cluster: Cluster,
) -> None:
    make(cluster)
    alter(cluster, "tasks", {"max.message.bytes": str(2 * MAX_MESSAGE_BYTES)})
    alter(cluster, "beats", {"retention.ms": "60000", "cleanup.policy": "compact"})
    assert not any(topic.amiss() for topic in look(cluster).values())
    make(cluster)


def test_other_numbers_of_partitions_and_copies_are_refused(cluster: Cluster) -> None:
    make(cluster)
    three = replace(cluster, replication=3)
    with pytest.raises(BusError, match="has 1 copies, the configuration wants 3"):
        asyncio.run(prepare(three, TOPICS, create=True))

    async def split() -> None:
        async with cluster.admin() as admin:
            more = {cluster.topic("weights"): NewPartitions(2)}
            await admin.create_partitions(more)

    asyncio.run(split())
    wait_until(lambda: look(cluster)["weights"].partitions == 2)
    with pytest.raises(BusError, match="has 2 partitions, this program wants 1"):
        asyncio.run(prepare(cluster, TOPICS, create=True))


def test_topics_are_made_with_as_many_partitions_as_asked_and_keep_them(cluster: Cluster) -> None:
    async def scenario() -> None:
        first = await asyncio.to_thread(KafkaBus, cluster, partitions=6)
        for asked in (None, 1, 9):
            bus = await asyncio.to_thread(KafkaBus, cluster, partitions=asked)
            heads = await asyncio.to_thread(bus.log.heads)
            split = ("tasks", "attempts", "judgments")
            assert [part for name, part in sorted(heads) if name in split] == [*range(6)] * 3
            assert [part for name, part in heads if name == "weights"] == [0]
            await bus.publish([task(index) for index in range(40)])
            await bus.close()
        heads = await asyncio.to_thread(first.log.heads)
        assert sum(end for (name, _), end in heads.items() if name == "tasks") == 40
        assert all(end for (name, _), end in heads.items() if name == "tasks")
        await first.close()

    asyncio.run(scenario())
    assert {look(cluster)[name].partitions for name in (JOURNAL, "beats", "snapshots")} == {1}


def test_more_copies_than_brokers_cannot_be_made(cluster: Cluster) -> None:
    with pytest.raises(BusError, match=r"tasks cannot be created: .*[Rr]eplication"):
        asyncio.run(prepare(replace(cluster, replication=3), TOPICS, create=True))
    assert all(topic.missing for topic in look(cluster).values())


def test_the_bytes_of_topics_are_known(cluster: Cluster) -> None:
    async def scenario() -> None:
        bus = await asyncio.to_thread(KafkaBus, cluster)
        try:
            await bus.publish([task(index) for index in range(100)])
            asked = {cluster.topic("tasks"): range(4), cluster.topic("weights"): range(1)}
            async with cluster.admin() as admin:
                sizes = await topic_bytes(admin, asked)
            stored = sum(len(one.value) for part in range(4) for one in bus.read("tasks", part))
            assert sizes[cluster.topic("tasks")] > stored / 2
            assert sizes[cluster.topic("weights")] == 0
        finally:
            await bus.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_compressed_topics_are_read(cluster: Cluster, codec: str) -> None:
    make(cluster)
    for name in ("tasks", JOURNAL):
        alter(cluster, name, {"compression.type": codec})

    async def scenario() -> None:
        bus = KafkaBus(cluster)
        try:
            await bus.publish([task(1), task(2)])
            async with bus.subscribe(["tasks"], "solver", "solver") as solver:
                taken = [*await solver.take(2, 20.0)]
                while len(taken) < 2:
                    taken += await solver.take(2, 20.0)
            assert {one.event().id for one in taken} == {task(1).id, task(2).id}
        finally:
            await bus.close()

    asyncio.run(scenario())


def test_a_codec_that_is_not_there_is_named(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aiokafka.codec.cramjam", None)
    topic = KafkaTopic(
        name="tasks",
        partitions=4,
        wanted_partitions=4,
        replication=1,
        wanted_replication=1,
        settings={"compression.type": "zstd"},
        wanted={},
    )
    [said] = problems(cluster, topic)
    assert "compression.type=zstd" in said and "install cramjam" in said
    assert not problems(cluster, replace(topic, settings={"compression.type": "gzip"}))


def test_a_run_of_an_earlier_program_gets_the_topics_that_it_lacks_from_who_writes(
    cluster: Cluster,
) -> None:
    earlier = {name: topic for name, topic in TOPICS.items() if name not in LATER}

    async def scenario() -> None:
        bus = await asyncio.to_thread(lambda: KafkaBus(cluster, topics=earlier))
        await bus.publish([task(0)])
        await bus.close()
        reading = await asyncio.to_thread(lambda: KafkaBus(cluster, read_only=True))
        assert reading.log.heads().keys() == {
            (name, part) for name, topic in earlier.items() for part in range(topic.partitions)
        }
        with pytest.raises(BusError, match="There is no partition watermarks/0"):
            next(reading.log.read("watermarks"))
        await reading.close()
        writing = await asyncio.to_thread(lambda: KafkaBus(cluster, create=False))
        assert writing.log.heads()["watermarks", 0] == 0
        await writing.close()
        again = await asyncio.to_thread(lambda: KafkaBus(cluster, read_only=True))
        assert sum(again.log.heads().values()) == 1 and list(again.log.read("watermarks")) == []
        await again.close()

    asyncio.run(scenario())
