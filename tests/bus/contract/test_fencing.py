"""Owners: whoever takes over fences who was there, and nobody else may complete."""

import asyncio

import pytest

from bus.errors import Fenced
from bus.records import Position
from tests.bus.contract.drivers import Driver, Run
from tests.bus.contract.saying import (
    SHORT,
    SOON,
    answer_to,
    control,
    offsets,
    owners,
    take_all,
    task,
)


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
        assert zombie.epoch == taken[0].epoch
        assert bus.log.heads()["promotions", 0] == 0
        await zombie.close()
        again = await take_all(owner, 2)
        with pytest.raises(Fenced):
            await owner.complete(taken, [])
        await owner.complete(again, [])
        assert owner.epoch > taken[0].epoch
        assert bus.log.lag("group")[0].backlog == 0
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
                await old.take(1, SOON)
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
        assert bus.log.heads()["promotions", 0] == 0
        assert usurper.epoch > boss.epoch
        for subscription in (one, two, late, boss, usurper):
            await subscription.close()

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
