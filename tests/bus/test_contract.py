"""The promise of the bus, over every driver. A new driver joins by an entry in `DRIVERS`."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import pytest

from bus.bus import Bus, Subscription
from bus.errors import BusError, Fenced
from bus.events import Control, DeadLetter, Event, Promotion, Task, derive_id
from bus.kafka.bus import KafkaBus
from bus.kafka.cluster import Cluster
from bus.memory.bus import MemoryBus
from bus.memory.groups import MemorySubscription
from bus.records import Delivery, Position, Record
from bus.sqlite.bus import SqliteBus

KAFKA_LEASE_SECONDS = 2.0
LEASE_SECONDS = 1.0
SOON = 10.0
SHORT = 0.1


class Driver(Protocol):
    def open(self) -> Bus:
        """One more client of the one log of this test, as another process would be."""
        ...

    async def die(self, bus: Bus, subscription: Subscription) -> None:
        """The member falls silent; `bus` is its own and is not used again."""
        ...

    async def close(self) -> None: ...


@dataclass
class MemoryDriver:
    bus: MemoryBus = field(default_factory=MemoryBus)

    def open(self) -> Bus:
        return self.bus

    async def die(self, bus: Bus, subscription: Subscription) -> None:
        assert isinstance(subscription, MemorySubscription)
        subscription.lapse()

    async def close(self) -> None:
        await self.bus.close()


@dataclass
class SqliteDriver:
    folder: Path
    buses: list[SqliteBus] = field(default_factory=list)

    def open(self) -> Bus:
        bus = SqliteBus(self.folder / "log.db", lease_seconds=LEASE_SECONDS)
        self.buses.append(bus)
        return bus

    async def die(self, bus: Bus, subscription: Subscription) -> None:
        await bus.close()

    async def close(self) -> None:
        for bus in self.buses:
            await bus.close()


@dataclass
class KafkaDriver:
    cluster: Cluster
    buses: list[KafkaBus] = field(default_factory=list)

    def open(self) -> Bus:
        bus = KafkaBus(self.cluster, lease_seconds=KAFKA_LEASE_SECONDS)
        self.buses.append(bus)
        return bus

    async def die(self, bus: Bus, subscription: Subscription) -> None:
        await bus.close()

    async def close(self) -> None:
        for bus in self.buses:
            await bus.close()


DRIVERS: dict[str, Callable[[pytest.FixtureRequest], Driver]] = {
    "memory": lambda _: MemoryDriver(),
    "sqlite": lambda request: SqliteDriver(request.getfixturevalue("tmp_path")),
    "kafka": lambda request: KafkaDriver(request.getfixturevalue("cluster")),
}

Run = Callable[[Callable[[Driver], Awaitable[None]]], None]


@pytest.fixture(params=list(DRIVERS))
def run(request: pytest.FixtureRequest) -> Run:
    driver = DRIVERS[request.param](request)

    def run_scenario(scenario: Callable[[Driver], Awaitable[None]]) -> None:
        async def within() -> None:
            try:
                async with asyncio.timeout(60):
                    await scenario(driver)
            finally:
                await driver.close()

        asyncio.run(within())

    return run_scenario


def control(index: int, role: str = "all") -> Control:
    """Goes to a topic of one partition."""
    return Control(
        id=derive_id("run", "operator", str(index)),
        run="run",
        agent="operator",
        command="pause",
        role=role,
        settings={"index": index},
    )


def task(index: int) -> Task:
    """Goes to a topic of several partitions."""
    return Task(
        id=derive_id("run", "proposer", str(index)),
        run="run",
        agent="proposer",
        domain="strings",
        family="reverse",
        level=1,
        prompt="ab",
        question="ab",
        answer="ba",
        weights_version=index,
        granted_by=derive_id("run", "trainer", "0"),
        source="rule",
    )


def answer_to(delivery: Delivery, agent: str = "solver") -> Promotion:
    return Promotion(
        id=derive_id("run", agent, delivery.record.event_id),
        run="run",
        agent=agent,
        weights=delivery.record.event_id,
        weights_version=delivery.offset,
        decision="promoted",
    )


def index_of(record: Record | Delivery) -> int:
    event = record.event()
    assert isinstance(event, Control)
    index = event.settings["index"]
    assert isinstance(index, int)
    return index


async def take_all(subscription: Subscription, count: int) -> list[Delivery]:
    taken: list[Delivery] = []
    while len(taken) < count:
        page = await subscription.take(count - len(taken), SOON)
        assert page, f"only {len(taken)} of {count} came"
        taken += page
    return taken


async def until(check: Callable[[], bool]) -> None:
    async with asyncio.timeout(SOON):
        while not check():  # noqa: ASYNC110 - what it waits for may happen elsewhere
            await asyncio.sleep(0.01)


def owners(bus: Bus, group: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    for lag in bus.lag(group):
        counts[lag.owner] = counts.get(lag.owner, 0) + 1
    return counts


def offsets(deliveries: Sequence[Delivery]) -> list[int]:
    return [delivery.offset for delivery in deliveries]


def test_offsets_are_dense_and_a_key_keeps_its_order(run: Run) -> None:
    async def scenario(driver: Driver) -> None:
        bus, other = driver.open(), driver.open()
        events = [control(index, role=f"role{index % 3}") for index in range(30)]
        await bus.publish(events[:10])
        await other.publish(events[10:20])
        await bus.publish(events[20:])
        records = list(other.read("control"))
        assert [record.offset for record in records] == list(range(30))
        assert [record.event() for record in records] == events
        assert {record.key for record in records} == {"role0", "role1", "role2"}
        await bus.publish([task(index) for index in range(40)])
        heads = bus.heads()
        assert sum(heads["tasks", part] for part in range(4)) == 40
        assert heads["control", 0] == 30
        assert heads["weights", 0] == 0
        for part in range(4):
            offsets = [record.offset for record in bus.read("tasks", part)]
            assert offsets == list(range(heads["tasks", part])) != []

    run(scenario)


def test_replay_from_any_position(run: Run) -> None:
    async def scenario(driver: Driver) -> None:
        bus = driver.open()
        await bus.publish([control(index) for index in range(700)])
        assert [index_of(record) for record in bus.read("control", 0, 3, 7)] == [3, 4, 5, 6]
        assert [index_of(record) for record in bus.read("control", 0, 290)] == [*range(290, 700)]
        assert [index_of(record) for record in bus.read("control", 0, 698, 900)] == [698, 699]
        assert list(bus.read("control", 0, 700)) == list(bus.read("weights")) == []
        with pytest.raises(BusError, match="nowhere"):
            list(bus.read("nowhere"))

    run(scenario)


def test_an_id_on_the_log_is_not_appended_again(run: Run) -> None:
    async def scenario(driver: Driver) -> None:
        bus, other = driver.open(), driver.open()
        await bus.publish([control(0), control(1), control(0)])
        await other.publish([control(1), control(2)])
        assert [index_of(record) for record in bus.read("control")] == [0, 1, 2]
        found = bus.find(control(2).id)
        assert found is not None
        assert (found.topic, found.partition, found.offset) == ("control", 0, 2)
        assert bus.find(control(3).id) is None
        assert bus.find("no id") is None

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
        assert bus.heads()["control", 0] == 0
        with pytest.raises(BusError, match="nowhere"):
            bus.subscribe(["nowhere"], "group", "member")

    run(scenario)


def test_take_waits_for_an_event_and_gives_up_after_its_time(run: Run) -> None:
    async def scenario(driver: Driver) -> None:
        bus, other = driver.open(), driver.open()
        async with bus.subscribe(["control"], "group", "member") as subscription:
            assert await subscription.take(5, SHORT) == []
            assert await subscription.take(5, 0) == []
            waiting = asyncio.create_task(subscription.take(5))
            await asyncio.sleep(0.05)
            await other.publish([control(0)])
            assert offsets(await asyncio.wait_for(waiting, SOON)) == [0]

    run(scenario)


def test_take_gives_each_record_once_in_order_up_to_the_limit(run: Run) -> None:
    async def scenario(driver: Driver) -> None:
        bus = driver.open()
        async with bus.subscribe(["control"], "group", "member") as subscription:
            await bus.publish([control(index) for index in range(600)])
            first = await subscription.take(7, SOON)
            assert offsets(first) == list(range(7))
            rest = await take_all(subscription, 593)
            assert offsets(rest) == list(range(7, 600))
            assert await subscription.take(1, SHORT) == []

    run(scenario)


def test_a_cancelled_take_loses_nothing(run: Run) -> None:
    async def scenario(driver: Driver) -> None:
        bus = driver.open()
        async with bus.subscribe(["control"], "group", "member") as subscription:
            taken: list[int] = []
            for number in range(30):
                taking = asyncio.create_task(subscription.take(2))
                await asyncio.sleep(0)
                await bus.publish([control(number)])
                await asyncio.sleep(0.0003 * (number % 5))
                taking.cancel()
                (outcome,) = await asyncio.gather(taking, return_exceptions=True)
                if not isinstance(outcome, BaseException):
                    taken += offsets(outcome)
            while page := await subscription.take(30, SHORT):
                taken += offsets(page)
            assert sorted(taken) == list(range(30))

    run(scenario)


def test_completion_out_of_order_moves_the_cursor(run: Run) -> None:
    async def scenario(driver: Driver) -> None:
        bus = driver.open()
        async with bus.subscribe(["control"], "group", "member") as subscription:
            await bus.publish([control(index) for index in range(6)])
            taken = await take_all(subscription, 6)
            await subscription.complete([taken[4], taken[1]], [])
            cursor = subscription.cursors()["control", 0]
            assert (cursor.base, cursor.done) == (0, frozenset({1, 4}))
            (lag,) = bus.lag("group")
            assert (lag.base, lag.done, lag.end, lag.backlog) == (0, 2, 6, 4)
            await subscription.complete([taken[0]], [])
            cursor = subscription.cursors()["control", 0]
            assert (cursor.base, cursor.done) == (2, frozenset({4}))
            await subscription.complete(taken, [])
            (lag,) = bus.lag("group")
            assert (lag.base, lag.done, lag.backlog, lag.owner) == (6, 0, 0, "member")
        assert bus.lag("another") == []

    run(scenario)


def test_outputs_and_completion_are_one_commit(run: Run) -> None:
    async def scenario(driver: Driver) -> None:
        bus = driver.open()
        first = bus.subscribe(["control"], "group", "member")
        await bus.publish([control(index) for index in range(3)])
        taken = await take_all(first, 3)
        await first.complete([taken[1]], [answer_to(taken[1])])
        assert bus.heads()["promotions", 0] == 1
        with pytest.raises(BusError):
            await first.complete(
                [taken[0], Position(topic="control", partition=0, offset=9)], [answer_to(taken[0])]
            )
        assert bus.heads()["promotions", 0] == 1
        assert first.cursors()["control", 0].done == {1}
        await first.complete([], [answer_to(taken[2])])
        assert bus.heads()["promotions", 0] == 2
        assert first.cursors()["control", 0].done == {1}
        await first.complete([], [])
        await first.close()

    run(scenario)


def test_completing_twice_changes_nothing(run: Run) -> None:
    async def scenario(driver: Driver) -> None:
        bus = driver.open()
        async with bus.subscribe(["control"], "group", "member") as subscription:
            await bus.publish([control(0), control(1)])
            taken = await take_all(subscription, 2)
            for _ in range(3):
                await subscription.complete(taken[1:], [answer_to(taken[1])])
            assert bus.heads()["promotions", 0] == 1
            assert subscription.cursors()["control", 0].done == {1}
            assert await subscription.take(5, SHORT) == []

    run(scenario)


def test_what_was_taken_and_not_completed_comes_again(run: Run) -> None:
    async def scenario(driver: Driver) -> None:
        bus, dying = driver.open(), driver.open()
        await bus.publish([control(index) for index in range(5)])
        first = dying.subscribe(["control"], "group", "member")
        taken = await take_all(first, 4)
        await first.complete([taken[2]], [answer_to(taken[2])])
        await driver.die(dying, first)
        second = bus.subscribe(["control"], "group", "member")
        again = await take_all(second, 4)
        assert offsets(again) == [0, 1, 3, 4]
        assert {delivery.epoch for delivery in again} == {taken[0].epoch + 1} == {second.epoch}
        await second.complete(again, [answer_to(delivery) for delivery in again])
        assert bus.heads()["promotions", 0] == 5
        await second.close()
        third = bus.subscribe(["control"], "group", "another")
        assert await third.take(1, SHORT) == []
        await third.close()

    run(scenario)


def test_closing_gives_taken_work_back_at_once(run: Run) -> None:
    async def scenario(driver: Driver) -> None:
        bus = driver.open()
        await bus.publish([control(0)])
        first = bus.subscribe(["control"], "group", "one")
        second = bus.subscribe(["control"], "group", "two")
        (taken,) = await first.take(1, SOON)
        waiting = asyncio.create_task(second.take(1))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        await first.close()
        (again,) = await asyncio.wait_for(waiting, SOON)
        assert (again.offset, again.epoch) == (0, taken.epoch + 1)
        await second.complete([again], [])
        await second.close()
        with pytest.raises(BusError, match="closed"):
            await first.take(1)

    run(scenario)


def test_a_group_shares_its_work_and_groups_are_independent(run: Run) -> None:
    async def scenario(driver: Driver) -> None:
        bus, other = driver.open(), driver.open()
        one = bus.subscribe(["tasks"], "group", "one")
        two = other.subscribe(["tasks"], "group", "two")
        loner = bus.subscribe(["tasks"], "loner", "one")
        seen: dict[str, list[str]] = {"one": [], "two": []}

        async def work(name: str, subscription: Subscription) -> None:
            while page := await subscription.take(3, 0.5):
                seen[name] += [delivery.record.event_id for delivery in page]
                await subscription.complete(page, [])

        await asyncio.gather(
            work("one", one),
            work("two", two),
            bus.publish([task(index) for index in range(60)]),
        )
        assert sorted(seen["one"] + seen["two"]) == sorted(task(index).id for index in range(60))
        assert seen["one"]
        assert seen["two"]
        assert len(await take_all(loner, 60)) == 60
        for subscription in (one, two, loner):
            await subscription.close()

    run(scenario)


def test_a_member_that_joins_gets_its_share_when_open_work_is_done(run: Run) -> None:
    async def scenario(driver: Driver) -> None:
        bus, other = driver.open(), driver.open()
        one = bus.subscribe(["tasks"], "group", "one")
        await bus.publish([task(index) for index in range(40)])
        taken = await take_all(one, 40)
        two = other.subscribe(["tasks"], "group", "two")
        assert await two.take(1, 3 * SHORT) == []
        assert owners(bus, "group") == {"one": 4}
        await one.complete(taken, [answer_to(delivery) for delivery in taken])
        assert await one.take(1, SHORT) == []
        assert await two.take(1, SHORT) == []
        await until(lambda: owners(bus, "group") == {"one": 2, "two": 2})
        await bus.publish([task(index) for index in range(40, 80)])
        parts = [
            {delivery.partition for delivery in await subscription.take(40, SOON)}
            for subscription in (one, two)
        ]
        assert parts[0] | parts[1] == {0, 1, 2, 3}
        assert len(parts[0]) == len(parts[1]) == 2
        assert bus.heads()["promotions", 0] == 40
        await two.close()
        await one.close()

    run(scenario)


def test_the_share_of_a_member_that_leaves_goes_to_the_others(run: Run) -> None:
    async def scenario(driver: Driver) -> None:
        bus, other = driver.open(), driver.open()
        one = bus.subscribe(["tasks"], "group", "one")
        two = other.subscribe(["tasks"], "group", "two")
        await one.take(1, SHORT)
        await two.take(1, SHORT)
        await until(lambda: owners(bus, "group") == {"one": 2, "two": 2})
        await one.close()
        await bus.publish([task(index) for index in range(30)])
        assert len(await take_all(two, 30)) == 30
        assert owners(bus, "group") == {"two": 4}
        await two.close()

    run(scenario)


def test_the_share_of_a_dead_member_goes_to_the_others(run: Run) -> None:
    async def scenario(driver: Driver) -> None:
        bus, dying = driver.open(), driver.open()
        one = dying.subscribe(["tasks"], "group", "one")
        await bus.publish([task(index) for index in range(30)])
        taken = await take_all(one, 30)
        await one.complete(taken[:10], [answer_to(delivery) for delivery in taken[:10]])
        await driver.die(dying, one)
        two = bus.subscribe(["tasks"], "group", "two")
        rest = await take_all(two, 20)
        assert {delivery.record.event_id for delivery in rest} == {
            delivery.record.event_id for delivery in taken[10:]
        }
        await two.complete(rest, [answer_to(delivery) for delivery in rest])
        assert bus.heads()["promotions", 0] == 30
        await two.close()

    run(scenario)


def test_a_member_that_subscribes_again_fences_its_old_instance(run: Run) -> None:
    async def scenario(driver: Driver) -> None:
        bus, other = driver.open(), driver.open()
        await bus.publish([control(0), control(1)])
        zombie = bus.subscribe(["control"], "group", "member")
        taken = await take_all(zombie, 2)
        waiting = asyncio.create_task(zombie.take(1))
        await asyncio.sleep(0.05)
        owner = other.subscribe(["control"], "group", "member")
        with pytest.raises(Fenced):
            await asyncio.wait_for(waiting, SOON)
        with pytest.raises(Fenced):
            await zombie.complete(taken, [answer_to(taken[0], "zombie")])
        with pytest.raises(Fenced):
            await zombie.complete([], [answer_to(taken[0], "zombie")])
        with pytest.raises(Fenced):
            await zombie.take(1)
        assert bus.heads()["promotions", 0] == 0
        await zombie.close()
        again = await take_all(owner, 2)
        with pytest.raises(Fenced):
            await owner.complete(taken, [])
        await owner.complete(again, [])
        assert owner.epoch > taken[0].epoch
        assert bus.lag("group")[0].backlog == 0
        await owner.close()

    run(scenario)


def test_an_exclusive_member_takes_everything_and_fences_all_others(run: Run) -> None:
    async def scenario(driver: Driver) -> None:
        bus, other = driver.open(), driver.open()
        await bus.publish([task(index) for index in range(20)])
        one = bus.subscribe(["tasks"], "group", "one")
        two = bus.subscribe(["tasks"], "group", "two")
        taken = await take_all(one, 1)
        boss = other.subscribe(["tasks"], "group", "boss", exclusive=True)
        for old in (one, two):
            with pytest.raises(Fenced):
                await old.take(1, SHORT)
        with pytest.raises(Fenced):
            await one.complete(taken, [answer_to(taken[0])])
        late = bus.subscribe(["tasks"], "group", "late")
        everything = await take_all(boss, 20)
        assert await late.take(1, SHORT) == []
        await boss.complete(everything, [])
        assert owners(bus, "group") == {"boss": 4}
        usurper = bus.subscribe(["tasks"], "group", "usurper", exclusive=True)
        with pytest.raises(Fenced):
            await boss.complete([], [answer_to(taken[0])])
        assert bus.heads()["promotions", 0] == 0
        assert usurper.epoch > boss.epoch
        for subscription in (one, two, late, boss, usurper):
            await subscription.close()

    run(scenario)


def test_positions_that_were_not_taken_can_be_completed_by_the_owner(run: Run) -> None:
    async def scenario(driver: Driver) -> None:
        bus = driver.open()
        await bus.publish([control(index) for index in range(5)])
        trainer = bus.subscribe(["control"], "group", "trainer", exclusive=True)
        done = [Position(topic="control", partition=0, offset=offset) for offset in (0, 1, 3)]
        await trainer.complete(done, [])
        assert offsets(await take_all(trainer, 2)) == [2, 4]
        with pytest.raises(BusError, match="ends at 5"):
            await trainer.complete([Position(topic="control", partition=0, offset=5)], [])
        with pytest.raises(BusError, match="tasks"):
            await trainer.complete([Position(topic="tasks", partition=0, offset=0)], [])
        await trainer.close()

    run(scenario)


def test_a_partition_of_another_member_cannot_be_completed(run: Run) -> None:
    async def scenario(driver: Driver) -> None:
        bus = driver.open()
        await bus.publish([control(0)])
        owner = bus.subscribe(["control"], "group", "owner")
        other = bus.subscribe(["control"], "group", "other")
        with pytest.raises(Fenced):
            await other.complete([Position(topic="control", partition=0, offset=0)], [])
        assert offsets(await owner.take(1, SOON)) == [0]
        await owner.close()
        await other.close()

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


def test_a_slow_consumer_hinders_nobody_and_misses_nothing(run: Run) -> None:
    async def scenario(driver: Driver) -> None:
        bus = driver.open()
        slow = bus.subscribe(["control"], "slow", "member")
        fast = bus.subscribe(["control"], "fast", "member")
        await bus.publish([control(0)])
        (straggler,) = await slow.take(1, SOON)
        for index in range(1, 300):
            await bus.publish([control(index)])
            if index % 50 == 0:
                await fast.complete(await take_all(fast, 50), [])
        rest = await take_all(slow, 299)
        await slow.complete(rest, [])
        assert [lag.backlog for lag in bus.lag("slow")] == [1]
        await slow.complete([straggler], [])
        assert [lag.base for lag in bus.lag("slow")] == [300]
        await slow.close()
        await fast.close()

    run(scenario)


def test_many_tasks_complete_at_once_in_any_order(run: Run) -> None:
    async def scenario(driver: Driver) -> None:
        bus = driver.open()
        subscription = bus.subscribe(["tasks"], "group", "member")
        await bus.publish([task(index) for index in range(200)])
        taken = await take_all(subscription, 200)
        random.Random(3).shuffle(taken)
        async with asyncio.TaskGroup() as group:
            for delivery in taken:
                group.create_task(subscription.complete([delivery], [answer_to(delivery)]))
        assert bus.heads()["promotions", 0] == 200
        assert sum(lag.backlog + lag.done for lag in bus.lag("group")) == 0
        assert len({record.event_id for record in bus.read("promotions")}) == 200
        await subscription.close()

    run(scenario)


def test_a_refused_commit_leaves_others_of_the_same_moment_alone(run: Run) -> None:
    async def scenario(driver: Driver) -> None:
        bus = driver.open()
        await bus.publish([control(0)])
        zombie = bus.subscribe(["control"], "group", "member")
        taken = await take_all(zombie, 1)
        owner = bus.subscribe(["control"], "group", "member")
        again = await take_all(owner, 1)
        outcomes = await asyncio.gather(
            bus.publish([control(1)]),
            zombie.complete(taken, [answer_to(taken[0], "zombie")]),
            owner.complete(again, [answer_to(again[0], "owner")]),
            zombie.complete(taken, [answer_to(taken[0], "zombie")]),
            bus.publish([control(2)]),
            return_exceptions=True,
        )
        assert [type(outcome) for outcome in outcomes] == [
            type(None),
            Fenced,
            type(None),
            Fenced,
            type(None),
        ]
        assert [record.event().agent for record in bus.read("promotions")] == ["owner"]
        assert bus.heads()["control", 0] == 3
        await owner.close()

    run(scenario)


def test_a_dead_letter_goes_out_with_the_completion(run: Run) -> None:
    async def scenario(driver: Driver) -> None:
        bus = driver.open()
        await bus.publish([control(0)])
        async with bus.subscribe(["control"], "group", "member") as subscription:
            (bad,) = await subscription.take(1, SOON)
            letter: Event = DeadLetter(
                id=derive_id("run", "solver", bad.record.event_id),
                run="run",
                agent="solver",
                origin_topic=bad.topic,
                origin_partition=bad.partition,
                origin_offset=bad.offset,
                group="group",
                reason="not for us",
                value=bad.record.value.decode(),
                headers=bad.record.headers,
            )
            await subscription.complete([bad], [letter])
        (record,) = bus.read("control.dead")
        assert record.event() == letter
        assert bus.lag("group")[0].backlog == 0

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


def foreign(index: int, partition: int, event_id: str) -> Record:
    """As a program of another make wrote it: no event of ours."""
    headers = {"ce_id": event_id} if event_id else {}
    return Record(
        topic="tasks",
        partition=partition,
        offset=99,
        key=f"key {index} ä",
        headers=headers | {"traceparent": f"00-{index:032x}-{index:016x}-01"},
        value=bytes([index, 0, 255]),
    )


def without_offset(records: Sequence[Record]) -> list[tuple[object, ...]]:
    return [(one.key, one.headers, one.value) for one in records]


def test_records_of_another_log_are_appended_as_they_are(run: Run) -> None:
    async def scenario(driver: Driver) -> None:
        bus, source = driver.open(), MemoryBus()
        await source.publish([task(index) for index in range(8)])
        ours = [record for part in range(4) for record in source.read("tasks", part)]
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
            found = list(driver.open().read("tasks", part))
            sent = [one for one in (*ours, *strange, strange[3]) if one.partition == part]
            assert without_offset(found) == without_offset(sent)
            assert offsets_of(found) == list(range(len(found)))
        assert bus.find("order-7") == next(
            one for one in bus.read("tasks", 2) if one.event_id == "order-7"
        )
        assert bus.find("") is None
        async with bus.subscribe(["tasks"], "group", "member") as subscription:
            taken = await take_all(subscription, 13)
            assert sum(one.record.key.startswith("key") for one in taken) == 5

    run(scenario)


def offsets_of(records: Sequence[Record]) -> list[int]:
    return [record.offset for record in records]


def test_a_record_for_a_partition_that_is_not_there_is_refused(run: Run) -> None:
    async def scenario(driver: Driver) -> None:
        bus = driver.open()
        with pytest.raises(BusError, match="tasks/9"):
            await bus.append([foreign(1, 0, ""), foreign(2, 9, "")])
        assert set(bus.heads().values()) == {0}

    run(scenario)


def test_an_owner_can_ask_for_epochs_above_those_of_another_log(run: Run) -> None:
    async def scenario(driver: Driver) -> None:
        bus = driver.open()
        await bus.publish([control(0), control(1)])
        old = bus.subscribe(["control"], "group", "old")
        (taken,) = await old.take(1, SOON)
        async with bus.subscribe(
            ["control", "weights"], "group", "copy", exclusive=True, above=41
        ) as copying:
            with pytest.raises(Fenced):
                await old.complete([taken], [])
            assert copying.epoch == 42
            await copying.complete([Position(topic="control", partition=0, offset=1)], [])
        async with driver.open().subscribe(["control"], "group", "member") as heir:
            (again,) = await take_all(heir, 1)
            assert (again.offset, again.epoch) == (0, 43)

    run(scenario)


def test_groups_and_their_live_members_are_known(run: Run) -> None:
    async def scenario(driver: Driver) -> None:
        bus, other = driver.open(), driver.open()
        assert bus.groups() == [] and bus.members("group") == []
        dying = other.subscribe(["control"], "group", "dying")
        async with bus.subscribe(["control"], "group", "living"):
            async with bus.subscribe(["tasks"], "another", "alone"):
                assert bus.groups() == ["another", "group"]
                assert bus.members("group") == ["dying", "living"]
            assert bus.members("another") == []
            await driver.die(other, dying)
            await until(lambda: bus.members("group") == ["living"])
        assert bus.members("group") == []
        assert bus.groups() == ["another", "group"]

    run(scenario)
