"""Taking: every record once and in order, waited for, and again if it was not completed."""

import asyncio

import pytest

from bus.bus import Subscription
from bus.errors import BusError
from tests.bus.contract.drivers import Driver, Run
from tests.bus.contract.saying import SHORT, SOON, answer_to, control, offsets, take_all


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
            assert await subscription.take(0, 0) == []
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
            taken += offsets(await take_all(subscription, 30 - len(taken)))
            assert await subscription.take(1, SHORT) == []
            assert sorted(taken) == list(range(30))

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
        assert bus.log.heads()["promotions", 0] == 5
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
        assert [lag.backlog for lag in bus.log.lag("slow")] == [1]
        await slow.complete([straggler], [])
        assert [lag.base for lag in bus.log.lag("slow")] == [300]
        await slow.close()
        await fast.close()

    run(scenario)


def test_a_cancelled_consumer_ends_whatever_comes_at_that_moment(run: Run) -> None:
    async def scenario(driver: Driver) -> None:
        bus = driver.open()

        async def consume(subscription: Subscription) -> None:
            while True:
                await subscription.take(2, SOON)

        async with bus.subscribe(["control"], "group", "member") as subscription:
            for number in range(30):
                consuming = asyncio.create_task(consume(subscription))
                await asyncio.sleep(0.001)
                await bus.publish([control(number)])
                for _ in range(number % 6):
                    await asyncio.sleep(0.0003 * (number // 15))
                consuming.cancel()
                await asyncio.wait([consuming], timeout=SOON)
                assert consuming.cancelled()

    run(scenario)
