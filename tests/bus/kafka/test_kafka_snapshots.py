"""Snapshots of the fold: opening reads on from the newest that counts, and a snapshot that was not
finished, was changed, or is gone changes nothing but the time it takes.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from bus.kafka.bus import KafkaBus
from bus.kafka.cluster.cluster import Cluster
from bus.kafka.cluster.topics import SNAPSHOTS
from bus.kafka.journal import snapshots
from bus.kafka.journal.snapshots import newest, taken
from bus.kafka.journal.state import State
from bus.topics import TOPICS
from tests.bus.contract.saying import answer_to, control, take_all, task

EVERY = 20
Scenario = Callable[[KafkaBus], Awaitable[None]]


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("journal.snapshots", "journal.journal", "bus"):
        monkeypatch.setattr(f"bus.kafka.{module}.EVERY_BYTES", 200 * EVERY)


def run(cluster: Cluster, scenario: Scenario) -> None:
    async def within() -> None:
        bus = await asyncio.to_thread(KafkaBus, cluster)
        try:
            async with asyncio.timeout(60):
                await scenario(bus)
        finally:
            await bus.close()

    asyncio.run(within())


async def work(bus: KafkaBus, first: int = 0) -> None:
    """More entries than a snapshot comes after."""
    async with bus.subscribe(["tasks"], "group", "member") as subscription:
        for index in range(first, first + EVERY):
            await bus.publish([task(index)])
            taken = await take_all(subscription, 1)
            await subscription.complete(taken, [answer_to(one) for one in taken])
    await bus._thread.wait(kept())


async def kept() -> None:
    """Until every snapshot under way has been written."""
    names = {task: getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks()}
    await asyncio.gather(*(task for task, name in names.items() if name == "KafkaBus._keep"))


def look(bus: KafkaBus) -> tuple[object, ...]:
    found = [list(bus.read("tasks", part)) for part in range(4)]
    return bus.heads(), bus.lag("group"), bus.find(task(0).id), found


async def found_by(cluster: Cluster) -> State | None:
    return await newest(cluster, TOPICS)


async def told(cluster: Cluster, value: bytes, key: bytes = b"0") -> None:
    producer = cluster.producer()
    await cluster.start(producer)
    await producer.send_and_wait(cluster.topic(SNAPSHOTS), value, key=key, partition=0)
    await cluster.stop(producer)


def test_opening_reads_on_from_the_newest_snapshot_and_finds_the_same(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(bus: KafkaBus) -> None:
        await work(bus)
        before = look(bus)
        applied: list[int] = []
        apply = State.apply

        def counted(state: State, position: int, value: bytes) -> Any:
            applied.append(position)
            return apply(state, position, value)

        monkeypatch.setattr(State, "apply", counted)
        again = await asyncio.to_thread(KafkaBus, cluster, read_only=True)
        assert look(again) == before
        assert min(applied) >= EVERY
        assert len(applied) <= EVERY + 3
        with bus._journal.state.lock:
            assert taken(again._journal.state) == taken(bus._journal.state)
        await again.close()

    run(cluster, scenario)


def test_a_writer_that_dies_between_mark_and_snapshot_leaves_an_older_one(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(bus: KafkaBus) -> None:
        await work(bus)
        older = await bus._thread.wait(found_by(cluster))

        async def dies(*_: object) -> None:
            raise TimeoutError

        monkeypatch.setattr("bus.kafka.bus.write", dies)
        await work(bus, EVERY)
        newer = await bus._thread.wait(found_by(cluster))
        assert older is not None and newer is not None
        assert older.position == newer.position < bus._journal.state.position - EVERY
        again = await asyncio.to_thread(KafkaBus, cluster)
        assert look(again) == look(bus)
        await again.close()

    run(cluster, scenario)


def test_a_snapshot_that_lies_is_passed_over(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(bus: KafkaBus) -> None:
        await work(bus)
        with bus._journal.state.lock:
            true = taken(bus._journal.state)
            bus._journal.state.heads["tasks", 0] += 1
            false = taken(bus._journal.state)
            bus._journal.state.heads["tasks", 0] -= 1
        kept = await bus._thread.wait(found_by(cluster))
        written: list[bytes] = []

        class Hearing:
            async def send_and_wait(self, topic: str, value: bytes, **_: object) -> None:
                written.append(value)

        hearing: Any = Hearing()
        await snapshots.write(cluster, hearing, false, true.at)
        body = json.loads(written[0])
        far = json.dumps(body | {"at": 1 << 40, "mark": 1 << 41}).encode()
        for number, lie in enumerate((written[0], far, b"garbage", b"{}", b"")):
            await bus._thread.wait(told(cluster, lie, b"lie %d" % number))
        with caplog.at_level(logging.WARNING, "bus"):
            found = await bus._thread.wait(found_by(cluster))
        assert kept is not None and found is not None
        assert taken(found) == taken(kept)
        assert any("passed over" in one.getMessage() for one in caplog.records)
        again = await asyncio.to_thread(KafkaBus, cluster)
        assert look(again) == look(bus)
        await again.close()

    run(cluster, scenario)


def test_two_that_write_the_same_snapshot_agree(cluster: Cluster) -> None:
    async def scenario(bus: KafkaBus) -> None:
        await work(bus)
        other = await asyncio.to_thread(KafkaBus, cluster)
        # The mark that each writes is an entry of the other's.
        for one in (other, bus):
            await asyncio.to_thread(one.heads)
        with bus._journal.state.lock, other._journal.state.lock:
            mine, theirs = taken(bus._journal.state), taken(other._journal.state)
        assert mine == theirs
        await asyncio.gather(
            bus._thread.wait(bus._keep(mine)), other._thread.wait(other._keep(theirs))
        )
        found = await bus._thread.wait(found_by(cluster))
        assert found is not None
        assert taken(found) == mine
        await other.close()

    run(cluster, scenario)


def test_without_snapshots_the_whole_journal_is_read_and_they_are_made_again(
    cluster: Cluster,
) -> None:
    async def forget() -> None:
        async with cluster.admin() as admin:
            await admin.delete_topics([cluster.topic(SNAPSHOTS)])

    async def scenario(bus: KafkaBus) -> None:
        await work(bus)
        before = look(bus)
        await bus._thread.wait(forget())
        looking = await asyncio.to_thread(KafkaBus, cluster, read_only=True)
        assert look(looking) == before
        again = await asyncio.to_thread(KafkaBus, cluster, create=False)
        assert look(again) == before
        found = await bus._thread.wait(found_by(cluster))
        assert found is not None and found.num_entries > 2 * EVERY
        for one in (looking, again):
            await one.close()

    run(cluster, scenario)


def test_a_light_run_keeps_no_snapshot(cluster: Cluster) -> None:
    async def scenario(bus: KafkaBus) -> None:
        await bus.publish([control(0)])
        assert await bus._thread.wait(found_by(cluster)) is None

    run(cluster, scenario)


def test_of_snapshots_that_are_not_compacted_yet_the_newest_are_read(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(bus: KafkaBus) -> None:
        await work(bus)
        kept = await bus._thread.wait(found_by(cluster))
        for number in range(10):
            await bus._thread.wait(told(cluster, b"garbage %d" % number))
        read: list[int] = []
        part = snapshots._read

        async def counted(*asked: Any) -> list[bytes]:
            values = await part(*asked)
            read.append(len(values))
            return values

        monkeypatch.setattr(snapshots, "_read", counted)
        found = await bus._thread.wait(found_by(cluster))
        assert kept is not None and found is not None
        assert taken(found) == taken(kept)
        await work(bus, EVERY)
        read.clear()
        newer = await bus._thread.wait(found_by(cluster))
        assert newer is not None and newer.position > kept.position
        assert sum(read) <= snapshots.KEPT + 1

    run(cluster, scenario)
