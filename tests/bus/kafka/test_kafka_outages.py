"""A broker that is away, killed, or behind a cut: everybody waits, says so, and nothing is lost."""

import asyncio
import gc
import logging
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from bus.errors import BusError, Fenced, Unreachable
from bus.kafka.bus import KafkaBus
from bus.kafka.cluster.cluster import Cluster
from bus.kafka.cluster.watch import SAY_SECONDS
from evolvent.broker.broker import Broker
from harness.broker import free_port
from harness.link import Link
from tests.bus.contract.saying import answer_to, control, index_of, take_all, task
from tests.bus.kafka.runs import forget, new_run

LEASE_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A broker of this module's own, and a way to it that can be cut."""

    broker: Broker
    link: Link
    direct: Cluster
    behind: Cluster


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Broker, Link, int]]:
    port, listener, front = free_port(), free_port(), free_port()
    broker = Broker(tmp_path_factory.mktemp("outages") / "b", port, proxied=(listener, front))
    try:
        broker.start()
        with Link(front, listener) as link:
            yield broker, link, front
    finally:
        broker.kill()
        broker.wipe()


@pytest.fixture
def world(place: tuple[Broker, Link, int]) -> Iterator[World]:
    broker, link, front = place
    direct = new_run(broker.address)
    behind = Cluster(bootstrap_servers=f"127.0.0.1:{front}", app=direct.app)
    yield World(broker=broker, link=link, direct=direct, behind=behind)
    link.heal()
    broker.start()
    asyncio.run(forget(direct))


@asynccontextmanager
async def opened(cluster: Cluster) -> AsyncIterator[KafkaBus]:
    bus = KafkaBus(cluster, lease_seconds=LEASE_SECONDS)
    try:
        yield bus
    finally:
        await bus.close()


def run(scenario: Callable[[], Awaitable[None]], seconds: float = 180) -> None:
    async def within() -> None:
        async with asyncio.timeout(seconds):
            await scenario()

    asyncio.run(within())


async def until(seen: Callable[[], bool], seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not seen():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def far_enough(bus: KafkaBus, count: int) -> bool:
    return bus.heads()["promotions", 0] >= count


@pytest.mark.long
def test_everybody_waits_for_a_broker_that_is_away_and_the_log_says_so(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bus.kafka.commits.GIVE_UP_SECONDS", 3.0)

    async def scenario() -> None:
        async with opened(world.direct) as bus, opened(world.direct) as other:
            await bus.publish([control(index) for index in range(3)])
            async with bus.subscribe(["control"], "group", "member") as subscription:
                taken = await take_all(subscription, 3)
                assert bus.trouble is None
                world.broker.kill()
                completing = asyncio.create_task(
                    subscription.complete(taken, [answer_to(one) for one in taken])
                )
                publishing = asyncio.create_task(other.publish([control(3)]))
                began = time.monotonic()
                assert await subscription.take(1, 0.3) == []
                assert time.monotonic() - began < 2
                taking = asyncio.create_task(subscription.take(1))
                await until(lambda: bus.trouble == "connection refused")
                await asyncio.sleep(8)
                assert not (completing.done() or publishing.done() or taking.done())
                await asyncio.to_thread(world.broker.start)
                await asyncio.gather(completing, publishing)
                assert [index_of(one.record) for one in await taking] == [3]
                await until(lambda: bus.trouble is None)
            assert len(list(bus.read("promotions"))) == 3
            assert bus.heads()["promotions", 0] == 3

    opening = time.monotonic()
    with caplog.at_level(logging.WARNING, "bus"):
        run(scenario)
    said = [record.getMessage() for record in caplog.records]
    lost = f"Kafka at {world.broker.address} does not answer (connection refused): waiting, next"
    # Of two buses, neither more often than SAY_SECONDS.
    assert (
        2
        <= sum(one.startswith(lost) for one in said)
        <= 2 * (1 + (time.monotonic() - opening) / SAY_SECONDS)
    )
    assert any("answers again, after" in one for one in said)


@pytest.mark.parametrize("exclusive", [False, True])
def test_who_joins_while_no_client_can_start_joins_when_one_can(
    world: World, monkeypatch: pytest.MonkeyPatch, exclusive: bool
) -> None:
    async def scenario() -> None:
        async with opened(world.direct) as bus, opened(world.direct) as other:
            await other.publish([control(0)])
            async with other.subscribe(["control"], "group", "old"):
                monkeypatch.setattr("bus.kafka.cluster.cluster.START_SECONDS", 0.001)
                join = partial(bus.subscribe, ["control"], "group", "new", exclusive=exclusive)
                joining = asyncio.create_task(asyncio.to_thread(join))
                await asyncio.sleep(2)
                assert not joining.done()
                monkeypatch.undo()
                async with await joining as subscription:
                    if exclusive:
                        assert [index_of(one.record) for one in await subscription.take(1)] == [0]

    run(scenario)


def test_who_joins_while_the_broker_is_away_is_told_when_the_bus_is_closed(world: World) -> None:
    async def scenario() -> None:
        async with opened(world.direct) as bus:
            await asyncio.to_thread(world.broker.kill)
            join = partial(bus.subscribe, ["control"], "group", "member")
            joining = asyncio.create_task(asyncio.to_thread(join))
            await asyncio.sleep(1)
            assert not joining.done()
            async with asyncio.timeout(30):
                await bus.close()
            with pytest.raises(BusError, match="closed"):
                await joining

    run(scenario)


def test_a_start_that_takes_too_long_leaves_no_connection_open(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        for index in range(100):
            monkeypatch.setattr("bus.kafka.cluster.cluster.START_SECONDS", 0.0001 * index)
            for client in (world.direct.consumer(), world.direct.producer()):
                with suppress(Unreachable):
                    await world.direct.start(client)
                    await world.direct.stop(client)
                # A connection that is forgotten says so here.
                gc.collect()

    # What other tests have left need not be searched each time.
    gc.freeze()
    try:
        run(scenario)
    finally:
        gc.unfreeze()


def test_commits_under_a_kill_of_the_broker_are_made_once(world: World) -> None:
    async def scenario() -> None:
        async with opened(world.direct) as bus, opened(world.direct) as reader:
            subscription = bus.subscribe(["tasks"], "group", "member")
            await bus.publish([task(index) for index in range(400)])
            taken = await take_all(subscription, 400)

            async def work() -> None:
                for one in taken:
                    await subscription.complete([one], [answer_to(one)])

            working = asyncio.create_task(work())
            for number in (1, 2):
                await until(partial(far_enough, bus, 60 * number))
                await asyncio.to_thread(world.broker.kill)
                await asyncio.to_thread(world.broker.start)
            await working
            found = [record.event_id for record in reader.read("promotions")]
            assert len(found) == len(set(found)) == 400
            assert sum(lag.backlog for lag in reader.lag("group")) == 0
            await subscription.close()

    run(scenario)


def test_who_is_cut_off_loses_its_share_and_is_fenced_when_it_is_back(world: World) -> None:
    async def scenario() -> None:
        async with opened(world.behind) as far, opened(world.direct) as near:
            await near.publish([control(index) for index in range(4)])
            lost = far.subscribe(["control"], "group", "lost")
            taken = await take_all(lost, 4)
            async with near.subscribe(["control"], "group", "heir") as heir:
                world.link.cut()
                late = asyncio.create_task(
                    lost.complete(taken, [answer_to(one, "lost") for one in taken])
                )
                again = await take_all(heir, 4)
                await heir.complete(again, [answer_to(one, "heir") for one in again])
                assert not late.done()
                world.link.heal()
                with pytest.raises(Fenced):
                    await late
                assert {record.event().agent for record in near.read("promotions")} == {"heir"}

    run(scenario)


@pytest.mark.parametrize("broken", [False, True])
def test_a_short_cut_delays_a_commit_and_changes_nothing(world: World, broken: bool) -> None:
    async def scenario() -> None:
        async with opened(world.behind) as far, opened(world.direct) as near:
            await near.publish([control(index) for index in range(20)])
            subscription = far.subscribe(["control"], "group", "member")
            taken = await take_all(subscription, 20)
            for one in taken:
                completing = asyncio.create_task(subscription.complete([one], [answer_to(one)]))
                if one.offset % 5 == 0:
                    await asyncio.sleep(0.01)
                    world.link.cut()
                    await asyncio.sleep(0.5)
                    world.link.heal(late=not broken)
                await completing
            assert near.heads()["promotions", 0] == 20
            assert sum(lag.backlog for lag in near.lag("group")) == 0
            await subscription.close()

    run(scenario)


def test_closing_while_the_broker_is_away_takes_a_bounded_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bus.kafka.commits.CLOSE_SECONDS", 1.0)
    monkeypatch.setattr("bus.kafka.cluster.cluster.STOP_SECONDS", 1.0)
    before = set(threading.enumerate())

    async def scenario() -> None:
        bus, cut_off = KafkaBus(world.direct), KafkaBus(world.behind)
        await bus.publish([control(0)])
        subscriptions = [one.subscribe(["control"], "group", "member") for one in (bus, cut_off)]
        subscriptions.append(bus.subscribe(["tasks"], "group", "other"))
        (taken,) = await take_all(subscriptions[1], 1)
        world.link.cut()
        await asyncio.to_thread(world.broker.kill)
        late = [
            asyncio.create_task(subscriptions[1].complete([taken], [])),
            asyncio.create_task(bus.publish([control(1)])),
        ]
        await asyncio.sleep(0.5)
        began = time.monotonic()
        await subscriptions[2].close()
        await asyncio.gather(bus.close(), cut_off.close())
        assert time.monotonic() - began < 20
        for one in await asyncio.gather(*late, return_exceptions=True):
            assert isinstance(one, BusError)
        with pytest.raises(BusError, match="closed"):
            await subscriptions[0].take(1)

    run(scenario)
    assert set(threading.enumerate()) == before


def test_two_buses_of_one_process_do_not_know_each_other(world: World) -> None:
    async def scenario() -> None:
        async with opened(world.direct) as bus:
            other = KafkaBus(world.behind)
            await other.publish([control(0)])
            async with other.subscribe(["control"], "group", "member") as subscription:
                await take_all(subscription, 1)
            await other.close()
            await bus.publish([control(1)])
            async with bus.subscribe(["control"], "group", "member") as subscription:
                assert len(await take_all(subscription, 2)) == 2

    run(scenario)


def test_opening_without_a_broker_says_so_at_once(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    began = time.monotonic()
    with pytest.raises(BusError, match="connection refused") as refused:
        KafkaBus(new_run(f"127.0.0.1:{free_port()}"))
    assert "\n" not in str(refused.value)
    assert time.monotonic() - began < 10
    assert set(threading.enumerate()) == before
