"""Groups: members share the work, come, leave and die; groups do not know each other."""

import asyncio

from bus.bus import Subscription
from tests.bus.contract.drivers import Driver, Run
from tests.bus.contract.saying import SHORT, SOON, answer_to, owners, take_all, task, until


def test_a_group_shares_its_work_and_groups_are_independent(run: Run) -> None:
    async def scenario(driver: Driver) -> None:
        bus, other = driver.open(), driver.open()
        one = bus.subscribe(["tasks"], "group", "one")
        two = other.subscribe(["tasks"], "group", "two")
        loner = bus.subscribe(["tasks"], "loner", "one")
        seen: dict[str, list[str]] = {"one": [], "two": []}

        async def work(name: str, subscription: Subscription) -> None:
            while len(seen["one"]) + len(seen["two"]) < 60:
                page = await subscription.take(3, 0.5)
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


async def two_partitions(subscription: Subscription) -> set[int]:
    """Those that the next records are of, until they are two."""
    found: set[int] = set()
    async with asyncio.timeout(SOON):
        while len(found) < 2:
            found |= {delivery.partition for delivery in await subscription.take(40)}
    return found


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
        parts = [await two_partitions(subscription) for subscription in (one, two)]
        assert parts[0] | parts[1] == {0, 1, 2, 3}
        assert len(parts[0]) == len(parts[1]) == 2
        assert bus.log.heads()["promotions", 0] == 40
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
        assert bus.log.heads()["promotions", 0] == 30
        await two.close()

    run(scenario)


def test_groups_and_their_live_members_are_known(run: Run) -> None:
    async def scenario(driver: Driver) -> None:
        bus, other = driver.open(), driver.open()
        assert bus.log.groups() == [] and bus.log.members("group") == []
        dying = other.subscribe(["control"], "group", "dying")
        async with bus.subscribe(["control"], "group", "living"):
            async with bus.subscribe(["tasks"], "another", "alone"):
                assert bus.log.groups() == ["another", "group"]
                await until(lambda: bus.log.members("group") == ["dying", "living"])
            assert bus.log.members("another") == []
            await driver.die(other, dying)
            await until(lambda: bus.log.members("group") == ["living"])
        assert bus.log.members("group") == []
        assert bus.log.groups() == ["another", "group"]

    run(scenario)
