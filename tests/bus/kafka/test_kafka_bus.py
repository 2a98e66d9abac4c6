"""What only Kafka has: its own offsets, other programs' records and readers, writers that fail."""

import asyncio
import contextlib
import json
import random
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiokafka.structs import OffsetAndMetadata, TopicPartition

from bus.config import KafkaConfig
from bus.errors import BusError, Fenced
from bus.kafka.bus import KafkaBus
from bus.kafka.cluster.cluster import Cluster
from bus.kafka.commits import Committer, new_id
from bus.kafka.journal.entry import Entry
from bus.kafka.journal.state import Recent
from bus.records import Record, to_records
from bus.topics import TOPICS
from tests.bus.contract.saying import answer_to, control, offsets, take_all, task
from tests.bus.kafka.runs import kafkas_offset

LEASE_SECONDS = 1.5
SOON = 30.0

Scenario = Callable[[Cluster, Callable[[], KafkaBus]], Awaitable[None]]
Run = Callable[[Scenario], None]


@pytest.fixture
def run(cluster: Cluster) -> Run:
    def run_scenario(scenario: Scenario) -> None:
        async def within() -> None:
            buses: list[KafkaBus] = []

            def open_bus() -> KafkaBus:
                buses.append(KafkaBus(cluster, lease_seconds=LEASE_SECONDS))
                return buses[-1]

            try:
                async with asyncio.timeout(150):
                    await scenario(cluster, open_bus)
            finally:
                for bus in buses:
                    await bus.close()

        asyncio.run(within())

    return run_scenario


async def plain_read(cluster: Cluster, topic: str, count: int) -> list[tuple[str, bytes]]:
    """Ids and values of a topic of one partition, as any program of Kafka's sees them."""
    consumer = cluster.consumer()
    await consumer.start()
    try:
        place = TopicPartition(cluster.topic(topic), 0)
        consumer.assign([place])
        consumer.seek(place, 0)
        found: list[tuple[str, bytes]] = []
        end = (await consumer.end_offsets([place]))[place]
        while await consumer.position(place) < end:
            page = (await consumer.getmany(timeout_ms=1500)).get(place, ())
            found += [(dict(one.headers)["ce_id"].decode(), one.value) for one in page]
        assert len(found) == count
        return found
    finally:
        await consumer.stop()


async def write_plainly(cluster: Cluster, topic: str, *records: tuple[bytes, str]) -> None:
    """As a program that knows no journal."""
    producer = cluster.producer()
    await producer.start()
    try:
        for value, event_id in records:
            headers = [("ce_id", event_id.encode())] if event_id else []
            await producer.send_and_wait(cluster.topic(topic), value, partition=0, headers=headers)
    finally:
        await producer.stop()


def test_what_was_searched_for_strays_is_read_again(run: Run) -> None:
    async def scenario(cluster: Cluster, open_bus: Callable[[], KafkaBus]) -> None:
        bus = open_bus()
        await bus.publish([task(0), control(0)])
        await write_plainly(cluster, "control", (b"?", "stranger"))

        async def read() -> list[str]:
            return await asyncio.to_thread(lambda: [one.event_id for one in bus.read("control")])

        before = await read()
        for _ in range(2):
            assert len(await asyncio.to_thread(bus.strays)) == 1
            assert await read() == before == [control(0).id]

    run(scenario)


def test_other_programs_read_the_same_events(run: Run) -> None:
    async def scenario(cluster: Cluster, open_bus: Callable[[], KafkaBus]) -> None:
        bus = open_bus()
        await bus.publish([control(index) for index in range(5)])
        await bus.publish([control(index) for index in range(3, 8)])
        plain = await plain_read(cluster, "control", 8)
        assert plain == [(record.event_id, record.value) for record in bus.read("control")]

    run(scenario)


def test_kafkas_own_offset_follows_for_those_who_look_with_other_tools(run: Run) -> None:
    async def scenario(cluster: Cluster, open_bus: Callable[[], KafkaBus]) -> None:
        bus = open_bus()
        async with bus.subscribe(["control"], "group", "member") as subscription:
            await bus.publish([control(index) for index in range(6)])
            taken = await take_all(subscription, 6)
            for done in (0, 1, 4):
                await subscription.complete([taken[done]], [])
            place = TopicPartition(cluster.topic("control"), 0)
            kept = None
            async with asyncio.timeout(SOON):
                while kept != OffsetAndMetadata(2, ""):
                    await asyncio.sleep(0.2)
                    with contextlib.suppress(BusError):  # the first coordinator is being made
                        kept = await kafkas_offset(cluster, place)

    run(scenario)


def test_a_long_cursor_outlives_its_bus(run: Run) -> None:
    async def scenario(cluster: Cluster, open_bus: Callable[[], KafkaBus]) -> None:
        bus = open_bus()
        events = [control(index) for index in range(60_000)]
        for start in range(0, len(events), 10_000):
            await bus.publish(events[start : start + 10_000])
        subscription = bus.subscribe(["control"], "group", "member")
        taken = await take_all(subscription, 60_000)
        chosen = random.Random(1)
        done = [one for one in taken[1:] if chosen.random() < 0.66]
        await subscription.complete(done, [])
        await subscription.complete([taken[0]], [answer_to(taken[0])])
        before = bus.cursors("group")
        await bus.close()
        again = open_bus()
        assert again.cursors("group") == before
        assert [lag.backlog for lag in again.lag("group")] == [60_000 - len(done) - 1]
        assert again.heads()["promotions", 0] == 1

    run(scenario)


def test_a_record_of_another_program_is_delivered_once_and_in_its_place(run: Run) -> None:
    async def scenario(cluster: Cluster, open_bus: Callable[[], KafkaBus]) -> None:
        bus = open_bus()
        async with bus.subscribe(["control"], "group", "member") as subscription:
            await bus.publish([control(0), control(1)])
            known = control(1).model_dump_json().encode()
            await write_plainly(cluster, "control", (b"poison", ""), (known, control(1).id))
            await write_plainly(cluster, "control", (b"poison", ""))
            await bus.publish([control(2)])
            taken = await take_all(subscription, 5)
            assert sorted(offsets(taken)) == [0, 1, 2, 3, 4]
            assert sorted(one.record.value == b"poison" for one in taken) == [0, 0, 0, 1, 1]
            await subscription.complete(taken, [])
            assert await subscription.take(1, 0.5) == []
            other = open_bus()
            async with other.subscribe(["control"], "other", "member") as second:
                again: list[Record] = [one.record for one in await take_all(second, 5)]
            key = [one.offset for one in sorted(again, key=lambda one: one.offset)]
            assert key == [0, 1, 2, 3, 4]
            assert list(bus.read("control")) == sorted(again, key=lambda one: one.offset)

    run(scenario)


def test_a_silent_member_that_wakes_up_is_fenced_and_leaves_nothing(run: Run) -> None:
    async def scenario(cluster: Cluster, open_bus: Callable[[], KafkaBus]) -> None:
        bus, sleepy = open_bus(), open_bus()
        await bus.publish([control(index) for index in range(4)])
        zombie = sleepy.subscribe(["control"], "group", "zombie")
        taken = await take_all(zombie, 4)
        sleepy._beats.lives.clear()
        async with bus.subscribe(["control"], "group", "heir") as heir:
            again = await take_all(heir, 4)
            outcomes = await asyncio.gather(
                zombie.complete(taken, [answer_to(one, "zombie") for one in taken]),
                heir.complete(again, [answer_to(one, "heir") for one in again]),
                return_exceptions=True,
            )
            assert [type(outcome) for outcome in outcomes] == [Fenced, type(None)]
        assert {record.event().agent for record in bus.read("promotions")} == {"heir"}
        await plain_read(cluster, "promotions", 4)

    run(scenario)


@pytest.mark.long
def test_a_commit_goes_on_with_a_new_producer_when_its_own_is_gone(run: Run) -> None:
    async def scenario(cluster: Cluster, open_bus: Callable[[], KafkaBus]) -> None:
        bus = open_bus()
        async with bus.subscribe(["tasks"], "group", "member") as subscription:
            await bus.publish([task(index) for index in range(40)])
            taken = await take_all(subscription, 40)
            committer = bus._members[0]._committer
            for start in range(0, 40, 10):
                assert committer._producer is not None
                await bus._thread.wait(cluster.stop(committer._producer))
                some = taken[start : start + 10]
                await subscription.complete(some, [answer_to(one) for one in some])
            assert sum(lag.backlog for lag in bus.lag("group")) == 0
        await plain_read(cluster, "promotions", 40)
        assert bus.heads()["promotions", 0] == 40

    run(scenario)


def test_an_entry_that_comes_twice_counts_once(run: Run) -> None:
    async def scenario(cluster: Cluster, open_bus: Callable[[], KafkaBus]) -> None:
        bus = open_bus()
        records = to_records([control(0)], TOPICS)
        committer = Committer(cluster, bus._journal, lambda: None)

        async def twice() -> None:
            producer = await committer.start()
            entry = Entry(id=new_id(), writer="late", seq=1)
            for _ in range(2):
                outcome = bus._journal.outcome(entry.id)
                # A writer whose first entry was not acknowledged, though it arrived.
                bus._journal.state.roots = Recent()
                await committer._write(producer, entry, records)
                await outcome
            await committer.close()

        await bus._thread.wait(twice())
        assert bus.heads()["control", 0] == open_bus().heads()["control", 0] == 1
        assert [stray.ours for stray in bus.strays()] == [True]

    run(scenario)


def test_a_run_is_opened_again_with_all_it_had(run: Run) -> None:
    async def scenario(cluster: Cluster, open_bus: Callable[[], KafkaBus]) -> None:
        with pytest.raises(BusError, match=cluster.app):
            KafkaBus(cluster, create=False)
        bus = open_bus()
        await bus.publish([task(index) for index in range(30)])
        async with bus.subscribe(["tasks"], "group", "member") as subscription:
            taken = await take_all(subscription, 30)
            await subscription.complete(taken[5:], [answer_to(one) for one in taken[5:]])
        before = (bus.heads(), bus.cursors("group"), bus.lag("group"))
        await bus.close()
        looking = KafkaBus(cluster, read_only=True)
        assert (looking.heads(), looking.cursors("group"), looking.lag("group")) == before
        with pytest.raises(BusError, match="reading only"):
            looking.subscribe(["tasks"], "group", "member")
        await looking.close()

    run(scenario)


def test_entries_are_readable_json_and_come_back_the_same(run: Run) -> None:
    async def scenario(cluster: Cluster, open_bus: Callable[[], KafkaBus]) -> None:
        bus = open_bus()
        async with bus.subscribe(["control"], "group", "member", exclusive=True) as subscription:
            await bus.publish([control(0)])
            taken = await take_all(subscription, 1)
            await subscription.complete(taken, [answer_to(taken[0])])
        consumer = cluster.consumer()
        await consumer.start()
        place = TopicPartition(cluster.topic("journal"), 0)
        consumer.assign([place])
        consumer.seek(place, 0)
        end, entries = (await consumer.end_offsets([place]))[place], []
        while await consumer.position(place) < end:
            entries += (await consumer.getmany(timeout_ms=1500)).get(place, ())
        await consumer.stop()
        kinds = [json.loads(entry.value)["kind"] for entry in entries]
        assert kinds == ["topics", "join", "commit", "commit", "leave"]
        for entry in entries:
            assert Entry.decode(entry.value).encode() == entry.value

    run(scenario)


def test_an_unreachable_broker_is_one_clear_sentence(
    kafka: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bus.kafka.cluster.cluster.START_SECONDS", 1.0)
    with pytest.raises(BusError, match=r"127\.0\.0\.1:1 does not answer"):
        KafkaConfig(bootstrap_servers="127.0.0.1:1").build(Path("run"), create=True)
    monkeypatch.delenv("EVOLVENT_KAFKA_PASSWORD", raising=False)
    config = KafkaConfig.model_validate(
        {"bootstrap_servers": kafka, "security": {"protocol": "SASL_PLAINTEXT", "username": "me"}}
    )
    with pytest.raises(BusError, match="EVOLVENT_KAFKA_PASSWORD"):
        config.build(Path("run"), create=True)
