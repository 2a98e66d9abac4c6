"""What is said is kept: dense offsets, order of keys, ids once, replay, records of another log."""

import asyncio
from collections.abc import Sequence

import pytest

from bus.bus import Bus
from bus.errors import BusError
from bus.events import DeadLetter, derive_id
from bus.log import HasOrder
from bus.memory.bus import MemoryBus
from bus.records import Record
from tests.bus.contract.drivers import Driver, Run
from tests.bus.contract.saying import control, foreign, index_of, take_all, task


def without_offset(records: Sequence[Record]) -> list[tuple[object, ...]]:
    return [(one.key, one.headers, one.value) for one in records]


def test_offsets_are_dense_and_a_key_keeps_its_order(run: Run) -> None:
    async def scenario(driver: Driver) -> None:
        bus, other = driver.open(), driver.open()
        events = [control(index, role=f"role{index % 3}") for index in range(30)]
        await bus.publish(events[:10])
        await other.publish(events[10:20])
        await bus.publish(events[20:])
        records = list(other.log.read("control"))
        assert [record.offset for record in records] == list(range(30))
        assert [record.event() for record in records] == events
        assert {record.key for record in records} == {"role0", "role1", "role2"}
        await bus.publish([task(index) for index in range(40)])
        heads = bus.log.heads()
        assert sum(heads["tasks", part] for part in range(4)) == 40
        assert heads["control", 0] == 30
        assert heads["weights", 0] == 0
        for part in range(4):
            offsets = [record.offset for record in bus.log.read("tasks", part)]
            assert offsets == list(range(heads["tasks", part])) != []

    run(scenario)


def test_replay_from_any_position(run: Run) -> None:
    async def scenario(driver: Driver) -> None:
        bus = driver.open()
        await bus.publish([control(index) for index in range(700)])
        assert [index_of(record) for record in bus.log.read("control", 0, 3, 7)] == [3, 4, 5, 6]
        assert [index_of(record) for record in bus.log.read("control", 0, 290)] == [
            *range(290, 700)
        ]
        assert [index_of(record) for record in bus.log.read("control", 0, 698, 900)] == [698, 699]
        assert list(bus.log.read("control", 0, 700)) == list(bus.log.read("weights")) == []
        with pytest.raises(BusError, match="nowhere"):
            list(bus.log.read("nowhere"))

    run(scenario)


def test_a_log_knows_in_which_order_it_was_committed(run: Run) -> None:
    async def scenario(driver: Driver) -> None:
        bus, other = driver.open(), driver.open()
        for index in range(20):
            said = [control(index)] if index % 2 else [task(3 * index + one) for one in range(3)]
            await (bus if index % 3 else other).publish(said)
        log = bus.log
        assert isinstance(log, HasOrder)
        numbered = [
            (number, record.event_id)
            for stream, end in log.heads().items()
            for number, record in zip(log.commits(*stream, 0, end), log.read(*stream), strict=True)
        ]
        order = {event_id: number for number, event_id in numbered}
        for index in range(1, 19, 2):
            before = max(order[task(3 * index - 3 + one).id] for one in range(3))
            after = min(order[task(3 * index + 3 + one).id] for one in range(3))
            assert 0 < before < order[control(index).id] < after
        end = log.heads()["control", 0]
        assert log.commits("control", 0, 3, 5) == log.commits("control", 0, 0, end)[3:5]
        assert not log.commits("weights", 0, 0, 0)

    run(scenario)


def test_an_id_on_the_log_is_not_appended_again(run: Run) -> None:
    async def scenario(driver: Driver) -> None:
        bus, other = driver.open(), driver.open()
        await bus.publish([control(0), control(1), control(0)])
        await other.publish([control(1), control(2)])
        assert [index_of(record) for record in bus.log.read("control")] == [0, 1, 2]
        found = bus.log.find(control(2).id)
        assert found is not None
        assert (found.topic, found.partition, found.offset) == ("control", 0, 2)
        assert bus.log.find(control(3).id) is None
        assert bus.log.find("no id") is None

    run(scenario)


def test_a_cut_is_one_moment_of_the_log(run: Run) -> None:
    async def scenario(driver: Driver) -> None:
        bus, other = driver.open(), driver.open()
        await bus.publish([control(index) for index in range(9)])
        async with other.subscribe(["control"], "group", "one") as one:
            taken = await take_all(one, 9)
            await one.complete([*taken[:3], taken[5]], [task(0)])
            cut = await asyncio.to_thread(bus.log.cut)
            assert cut.heads == bus.log.heads() and cut.heads["control", 0] == 9
            held = cut.groups["group"]["control", 0]
            assert held.cursor == bus.log.cursors("group")["control", 0]
            assert held.cursor.base == 3 and held.cursor.done == {5}
            assert held.epoch == one.epoch and cut.groups.keys() == {"group"}

    run(scenario)


def test_an_unknown_topic_is_refused(run: Run) -> None:
    async def scenario(driver: Driver) -> None:
        bus = driver.open()
        lost = DeadLetter(
            id=derive_id("run", "a", "b"),
            run="run",
            agent="a",
            origin_topic="nowhere",
            origin_partition=0,
            origin_offset=0,
            group="g",
            reason="r",
            value="",
            headers={},
        )
        with pytest.raises(BusError, match=r"nowhere\.dead"):
            await bus.publish([control(0), lost])
        assert bus.log.heads()["control", 0] == 0
        with pytest.raises(BusError, match="nowhere"):
            bus.subscribe(["nowhere"], "group", "member")

    run(scenario)


def test_followers_see_everything_from_where_they_start(run: Run) -> None:
    async def scenario(driver: Driver) -> None:
        bus, other = driver.open(), driver.open()
        await bus.publish([control(index) for index in range(4)])
        seen: dict[int, list[int]] = {0: [], 3: []}

        async def follow(client: Bus, start: int) -> None:
            async for record in client.follow("control", start):
                seen[start].append(index_of(record))
                if index_of(record) == 9:
                    return

        async with asyncio.TaskGroup() as group:
            group.create_task(follow(bus, 0))
            group.create_task(follow(other, 3))
            await asyncio.sleep(0.05)
            for index in range(4, 10):
                await bus.publish([control(index)])
        assert seen == {0: list(range(10)), 3: list(range(3, 10))}

    run(scenario)


def test_records_of_another_log_are_appended_as_they_are(run: Run) -> None:
    async def scenario(driver: Driver) -> None:
        bus, source = driver.open(), MemoryBus()
        await source.publish([task(index) for index in range(8)])
        ours = [record for part in range(4) for record in source.log.read("tasks", part)]
        strange = [
            foreign(1, 2, ""),
            foreign(2, 2, ""),
            foreign(3, 2, "order-7"),
            foreign(4, 0, ""),
        ]
        await bus.append([*ours, *strange])
        # A second time, what has an id is on the log already; what has none cannot be known.
        await bus.append([*ours, strange[2], strange[3]])
        await bus.publish([task(0)])
        for part in range(4):
            found = list(driver.open().log.read("tasks", part))
            sent = [one for one in (*ours, *strange, strange[3]) if one.partition == part]
            assert without_offset(found) == without_offset(sent)
            assert [one.offset for one in found] == list(range(len(found)))
        assert bus.log.find("order-7") == next(
            one for one in bus.log.read("tasks", 2) if one.event_id == "order-7"
        )
        assert bus.log.find("") is None
        async with bus.subscribe(["tasks"], "group", "member") as subscription:
            taken = await take_all(subscription, 13)
            assert sum(one.record.key.startswith("key") for one in taken) == 5

    run(scenario)


def test_a_record_for_a_partition_that_is_not_there_is_refused(run: Run) -> None:
    async def scenario(driver: Driver) -> None:
        bus = driver.open()
        with pytest.raises(BusError, match="tasks/9"):
            await bus.append([foreign(1, 0, ""), foreign(2, 9, "")])
        assert set(bus.log.heads().values()) == {0}

    run(scenario)


def test_a_closed_bus_says_so(run: Run) -> None:
    async def scenario(driver: Driver) -> None:
        bus = driver.open()
        await bus.publish([control(0)])
        await bus.close()
        await bus.close()
        with pytest.raises(BusError, match="closed"):
            await bus.publish([control(1)])

    run(scenario)
