"""More members than partitions: whoever is left over says so and ends, and nobody else does."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from bus.bus import Bus, Subscription
from bus.errors import BusError
from bus.groups import Group, Member, Surplus, crowd
from bus.kafka.bus import KafkaBus
from bus.memory import subscription as memory
from bus.memory.bus import MemoryBus
from bus.sqlite.bus import SqliteBus
from tests.bus.contract.saying import owners, task, until

LEASE_SECONDS = 2.0
STREAMS = [("tasks", part) for part in range(2)]
TASKS = frozenset({"tasks"})

Open = Callable[[], Bus]
Scenario = Callable[[Open], Awaitable[None]]


@pytest.fixture(params=["memory", "sqlite", "kafka"])
def run(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Scenario], None]:
    monkeypatch.setattr(memory, "LEASE_SECONDS", LEASE_SECONDS)
    alone = MemoryBus(partitions=2)
    buses: list[Bus] = [alone]

    def open_one() -> Bus:
        if request.param == "memory":
            return alone
        if request.param == "kafka":
            cluster = request.getfixturevalue("cluster")
            buses.append(KafkaBus(cluster, partitions=2, lease_seconds=LEASE_SECONDS))
        else:
            path = tmp_path / "log.sqlite"
            buses.append(SqliteBus(path, partitions=2, lease_seconds=LEASE_SECONDS))
        return buses[-1]

    def run_scenario(scenario: Scenario) -> None:
        async def within() -> None:
            async with asyncio.timeout(40):
                await scenario(open_one)
            for bus in buses:
                await bus.close()

        asyncio.run(within())

    return run_scenario


def test_a_member_is_left_over_when_each_partition_has_another_owner() -> None:
    readers = dict.fromkeys(("one", "two", "three"), TASKS)
    full = {STREAMS[0]: "one", STREAMS[1]: "two"}
    assert crowd("three", full, readers) == ["one", "two"]
    assert crowd("one", full, readers) == []
    assert crowd("three", full | {STREAMS[1]: ""}, readers) == []
    assert crowd("three", dict.fromkeys(STREAMS, "one"), readers) == []
    assert crowd("three", full, readers | {"two": frozenset()}) == []
    assert crowd("three", full | {("weights", 0): "two"}, readers) == []
    assert crowd("stranger", full, readers) == []


def test_of_a_single_partition_the_others_wait_in_reserve() -> None:
    readers = dict.fromkeys(("one", "two"), frozenset({"weights"}))
    assert crowd("two", {("weights", 0): "one"}, readers) == []


def test_beside_a_member_that_reads_alone_nobody_is_left_over() -> None:
    group = Group()
    for name, exclusive in (("boss", True), ("one", False), ("two", False)):
        group.join(Member(name=name, instance="", topics=TASKS, exclusive=exclusive), STREAMS)
    assert group.crowd("one") == group.crowd("two") == []


def test_it_waits_for_half_a_lease_of_signs_of_all_others() -> None:
    surplus = Surplus("solver", "three", lease_seconds=10.0)
    assert surplus.look(0.0, {"one": 1, "two": 1}) == 5.0
    assert surplus.look(4.9, {"one": 2, "two": 2}) == 1.25
    # Two says nothing any more: its partition may come over.
    assert surplus.look(60.0, {"one": 9, "two": 1})
    assert surplus.look(61.0, {}) is None
    assert surplus.look(62.0, {"one": 9, "four": 1}) == 5.0
    said = r"'solver' has 2 partitions and more members: one, four .* 'three' .*bus\.partitions"
    with pytest.raises(BusError, match=said):
        surplus.look(67.0, {"one": 10, "four": 2})


def test_who_is_left_over_ends_with_a_sentence(run: Callable[[Scenario], None]) -> None:
    async def scenario(open_one: Open) -> None:
        bus = open_one()
        members = [bus.subscribe(["tasks"], "solver", name) for name in ("one", "two")]
        await members[0].take(1, 0.1)
        await until(lambda: owners(bus, "solver") == {"one": 1, "two": 1})
        late = open_one().subscribe(["tasks"], "solver", "three")
        began = time.monotonic()

        async def idle(member: Subscription) -> None:
            while True:
                assert await member.take(1, 0.2) == []

        working = [asyncio.ensure_future(idle(member)) for member in members]
        with pytest.raises(BusError, match=r"'solver' has 2 partitions .* 'three' can get none"):
            await late.take(1)
        assert LEASE_SECONDS / 2 <= time.monotonic() - began < 5 * LEASE_SECONDS
        await late.close()
        await asyncio.sleep(LEASE_SECONDS)
        for one in working:
            assert not one.done()
            one.cancel()
        await asyncio.wait(working)
        for member in members:
            await member.close()

    run(scenario)


def test_who_waits_for_one_that_leaves_gets_its_share(run: Callable[[Scenario], None]) -> None:
    async def scenario(open_one: Open) -> None:
        bus = open_one()
        one, two = (bus.subscribe(["tasks"], "solver", name) for name in ("one", "two"))
        await one.take(1, 0.1)
        await until(lambda: owners(bus, "solver") == {"one": 1, "two": 1})
        next_one = open_one().subscribe(["tasks"], "solver", "three")
        assert await next_one.take(1, 0) == []
        await one.close()
        await bus.publish([task(index) for index in range(20)])
        assert await next_one.take(20, 5.0)
        # Half a lease and more: it has a partition by now.
        assert await next_one.take(1, LEASE_SECONDS) == []
        await next_one.close()
        await two.close()

    run(scenario)


def test_who_waits_for_the_dead_outlasts_their_lease(tmp_path: Path) -> None:
    async def scenario() -> None:
        def opened() -> SqliteBus:
            path = tmp_path / "log.sqlite"
            return SqliteBus(path, partitions=2, lease_seconds=LEASE_SECONDS)

        dying, bus = opened(), opened()
        dying.subscribe(["tasks"], "solver", "one")
        two = bus.subscribe(["tasks"], "solver", "two")
        await bus.publish([task(index) for index in range(20)])
        await asyncio.sleep(LEASE_SECONDS / 2)
        await dying.close()
        three = bus.subscribe(["tasks"], "solver", "three")
        assert await three.take(20, 5 * LEASE_SECONDS)
        await three.close()
        await two.close()
        await bus.close()

    asyncio.run(scenario())
