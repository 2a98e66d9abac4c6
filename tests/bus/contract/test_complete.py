"""Completing: outputs and what is done in one commit, in any order, as often as one likes."""

import asyncio
import random

import pytest

from bus.errors import BusError, Fenced
from bus.events import DeadLetter, Event, derive_id
from bus.records import Position
from tests.bus.contract.drivers import Driver, Run
from tests.bus.contract.saying import SHORT, SOON, answer_to, control, offsets, take_all, task


def test_completion_out_of_order_moves_the_cursor(run: Run) -> None:
    async def scenario(driver: Driver) -> None:
        bus = driver.open()
        async with bus.subscribe(["control"], "group", "member") as subscription:
            await bus.publish([control(index) for index in range(6)])
            taken = await take_all(subscription, 6)
            await subscription.complete([taken[4], taken[1]], [])
            cursor = subscription.cursors()["control", 0]
            assert (cursor.base, cursor.done) == (0, frozenset({1, 4}))
            (lag,) = bus.log.lag("group")
            assert (lag.base, lag.done, lag.end, lag.backlog) == (0, 2, 6, 4)
            await subscription.complete([taken[0]], [])
            cursor = subscription.cursors()["control", 0]
            assert (cursor.base, cursor.done) == (2, frozenset({4}))
            await subscription.complete(taken, [])
            (lag,) = bus.log.lag("group")
            assert (lag.base, lag.done, lag.backlog, lag.owner) == (6, 0, 0, "member")
        assert bus.log.lag("another") == []

    run(scenario)


def test_outputs_and_completion_are_one_commit(run: Run) -> None:
    async def scenario(driver: Driver) -> None:
        bus = driver.open()
        first = bus.subscribe(["control"], "group", "member")
        await bus.publish([control(index) for index in range(3)])
        taken = await take_all(first, 3)
        await first.complete([taken[1]], [answer_to(taken[1])])
        assert bus.log.heads()["promotions", 0] == 1
        with pytest.raises(BusError):
            await first.complete(
                [taken[0], Position(topic="control", partition=0, offset=9)], [answer_to(taken[0])]
            )
        assert bus.log.heads()["promotions", 0] == 1
        assert first.cursors()["control", 0].done == {1}
        await first.complete([], [answer_to(taken[2])])
        assert bus.log.heads()["promotions", 0] == 2
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
            assert bus.log.heads()["promotions", 0] == 1
            assert subscription.cursors()["control", 0].done == {1}
            assert await subscription.take(5, SHORT) == []

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
        assert bus.log.heads()["promotions", 0] == 200
        assert sum(lag.backlog + lag.done for lag in bus.log.lag("group")) == 0
        assert len({record.event_id for record in bus.log.read("promotions")}) == 200
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
        assert [record.event().agent for record in bus.log.read("promotions")] == ["owner"]
        assert bus.log.heads()["control", 0] == 3
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
        (record,) = bus.log.read("control.dead")
        assert record.event() == letter
        assert bus.log.lag("group")[0].backlog == 0

    run(scenario)
