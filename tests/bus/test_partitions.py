"""How many partitions a log has: chosen when it is made, then its own, whoever opens it."""

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from bus.bus import Bus
from bus.config import SqliteConfig
from bus.memory.bus import MemoryBus
from bus.records import Record
from bus.sqlite.bus import SqliteBus
from bus.topics import TOPICS, Topic, co_partitioned, partition_of, partitions_on
from tests.bus.contract.saying import foreign, task

SPLIT = ("tasks", "attempts", "judgments")


def partitions(bus: Bus) -> Counter[str]:
    return Counter(topic for topic, _ in bus.log.heads())


def numbers(bus: Bus) -> set[int]:
    return {partitions(bus)[name] for name in SPLIT}


@pytest.mark.parametrize("number", [1, 3, 1024])
@pytest.mark.parametrize(
    "make",
    [
        lambda path, number: MemoryBus(partitions=number),
        lambda path, number: SqliteBus(path / "log.sqlite", partitions=number),
    ],
    ids=["memory", "sqlite"],
)
def test_a_new_log_has_as_many_as_are_asked_for(
    make: Callable[[Path, int], Bus], number: int, tmp_path: Path
) -> None:
    async def scenario() -> None:
        bus = make(tmp_path, number)
        assert numbers(bus) == {number}
        assert {partitions(bus)[name] for name in TOPICS.keys() - {*SPLIT}} == {1}
        tasks = [task(index) for index in range(40)]
        await bus.publish(tasks)
        for one in tasks:
            lies: Record | None = bus.log.find(one.id)
            assert lies is not None and lies.partition == partition_of(one.key, number)
        await bus.close()

    asyncio.run(scenario())


def test_a_file_keeps_its_number_whatever_who_opens_it_asks_for(tmp_path: Path) -> None:
    async def scenario() -> None:
        path = tmp_path / "log.sqlite"
        await SqliteBus(path, partitions=7).close()
        for asked in (None, 1, 4, 9):
            bus = SqliteBus(path, partitions=asked)
            assert numbers(bus) == {7}
            await bus.append([foreign(asked or 0, 6, f"order-{asked}")])
            await bus.publish([task(index) for index in range(40)])
            await bus.close()
        reader = SqliteBus(path, partitions=4, read_only=True)
        assert numbers(reader) == {7}
        assert all(end for (name, _), end in reader.log.heads().items() if name == "tasks")
        await reader.close()

    asyncio.run(scenario())


def test_a_log_made_without_a_number_has_four(tmp_path: Path) -> None:
    async def scenario() -> None:
        for bus in (SqliteBus(tmp_path / "log.sqlite"), SqliteConfig().build(tmp_path)):
            assert numbers(bus) == {4}
            await bus.close()

    asyncio.run(scenario())


def test_a_topic_that_is_new_gets_as_many_as_the_log_has() -> None:
    topics = {name: Topic(name=name, partitions=4) for name in ("old", "new")}
    there = partitions_on({"old": 9}, topics)
    assert there == 9
    assert {one.partitions for one in co_partitioned(topics, there).values()} == {9}
    assert partitions_on({}, topics) is None
