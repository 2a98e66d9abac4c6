"""The runner over the memory bus: answers, dead letters, order, failures, stops."""

import asyncio
import base64
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bus.bus import Subscription
from bus.codec import MAX_VALUE_BYTES
from bus.events import DeadLetter, Event, Task, derive_id
from bus.memory.bus import MemoryBus
from bus.records import Delivery, Positioned
from bus.runner import MAX_DEAD_BYTES, Counters, Rejected, dead_letter
from tests.bus.solving import (
    RUN,
    Solver,
    answer,
    backlog,
    dead,
    levels,
    raises,
    runner,
    task,
    until,
    work,
)


def test_every_event_is_answered_once() -> None:
    async def scenario() -> None:
        bus = MemoryBus()
        await bus.publish([task(index) for index in range(20)])
        counters = await work(bus, Solver(), lambda: backlog(bus) == 0)
        assert levels(bus) == list(range(20))
        assert counters == Counters(handled=20, rejected=0, in_flight=0)

    asyncio.run(scenario())


def test_events_that_come_later_are_answered_too() -> None:
    async def scenario() -> None:
        bus = MemoryBus()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(work(bus, Solver(), lambda: len(levels(bus)) == 2))
            await bus.publish([task(0)])
            await until(lambda: levels(bus) == [0])
            await bus.publish([task(1)])
        assert levels(bus) == [0, 1]

    asyncio.run(scenario())


def test_a_straggler_holds_nobody() -> None:
    async def scenario() -> None:
        bus = MemoryBus()
        await bus.publish([task(index) for index in range(20)])
        go = asyncio.Event()

        async def wait() -> None:
            await go.wait()

        async with asyncio.TaskGroup() as tasks:
            solver = Solver(first={0: wait})
            tasks.create_task(work(bus, solver, lambda: backlog(bus) == 0, concurrency=2))
            await until(lambda: levels(bus) == list(range(1, 20)))
            assert backlog(bus) == 1
            go.set()
        assert levels(bus) == list(range(20))

    asyncio.run(scenario())


def test_no_more_than_concurrency_are_worked_on() -> None:
    async def scenario() -> None:
        bus = MemoryBus()
        await bus.publish([task(index) for index in range(12)])
        working, most = 0, 0

        async def count() -> None:
            nonlocal working, most
            working += 1
            most = max(most, working)
            await asyncio.sleep(0.002)
            working -= 1

        solver = Solver(first=dict.fromkeys(range(12), count))
        await work(bus, solver, lambda: backlog(bus) == 0, concurrency=3)
        assert most == 3
        assert len(levels(bus)) == 12

    asyncio.run(scenario())


@dataclass
class Counted:
    """A subscription, and how many outputs each of its commits had."""

    inner: Subscription
    commits: list[int] = field(default_factory=list)

    async def complete(self, done: Sequence[Positioned], outputs: Sequence[Event]) -> None:
        self.commits.append(len(outputs))
        await self.inner.complete(done, outputs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def test_results_that_are_ready_together_share_a_commit() -> None:
    async def scenario() -> None:
        bus = MemoryBus()
        await bus.publish([task(index) for index in range(64)])
        stop = asyncio.Event()
        async with bus.subscribe(["tasks"], "solver", "solver-0") as inner:
            counted: Any = Counted(inner)
            working = asyncio.ensure_future(runner(Solver(), counted, concurrency=32).run(stop))
            await until(lambda: backlog(bus) == 0)
            stop.set()
            await working
        assert sum(counted.commits) == 64
        assert len(counted.commits) <= 8

    asyncio.run(scenario())


def test_a_rejected_event_becomes_a_dead_letter_and_holds_nobody() -> None:
    async def scenario() -> None:
        bus = MemoryBus()
        await bus.publish([task(index) for index in range(3)])
        [record] = [
            record
            for partition in range(4)
            for record in bus.read("tasks", partition)
            if record.event_id == task(1).id
        ]
        solver = Solver(first={1: raises(Rejected("no such family"))})
        counters = await work(bus, solver, lambda: backlog(bus) == 0)
        assert levels(bus) == [0, 2]
        assert counters == Counters(handled=2, rejected=1, in_flight=0)

        [letter] = dead(bus)
        place = f"{record.topic}/{record.partition}/{record.offset}"
        assert letter.id == derive_id(RUN, "solver", place)
        assert letter.reason == "no such family"
        assert base64.b64decode(letter.value) == record.value
        assert letter.headers == record.headers

    asyncio.run(scenario())


def test_an_answer_that_cannot_be_written_is_a_dead_letter_of_its_record_alone() -> None:
    class Verbose(Solver):
        async def handle(self, event: Task) -> Sequence[Event]:
            said = {7: "x" * MAX_VALUE_BYTES, 11: "\ud800"}.get(event.level, "short")
            return [answer(event.model_copy(update={"question": said}))]

    async def scenario() -> None:
        bus = MemoryBus()
        await bus.publish([task(index) for index in range(20)])
        counters = await work(bus, Verbose(), lambda: backlog(bus) == 0, concurrency=20)
        assert levels(bus) == [level for level in range(20) if level not in (7, 11)]
        assert counters == Counters(handled=18, rejected=2, in_flight=0)
        large, no_text = sorted(letter.reason for letter in dead(bus))
        assert "14,680,064 are allowed" in large or "14,680,064 are allowed" in no_text
        assert any("cannot be written as JSON" in reason for reason in (large, no_text))

    asyncio.run(scenario())


def test_a_record_that_cannot_be_read_becomes_a_dead_letter() -> None:
    async def scenario() -> None:
        bus = MemoryBus()
        await bus.publish([task(0), task(1, id="no id"), task(2)])
        solver = Solver()
        await work(bus, solver, lambda: backlog(bus) == 0)
        assert levels(bus) == [0, 2]
        assert sorted(solver.started) == [0, 2]
        [letter] = dead(bus)
        assert "'id'" in letter.reason

    asyncio.run(scenario())


def test_an_event_on_another_types_topic_becomes_a_dead_letter() -> None:
    async def scenario() -> None:
        bus = MemoryBus()
        await bus.publish([task(0)])
        [record] = [record for partition in range(4) for record in bus.read("tasks", partition)]
        stray = Delivery(record=replace(record, topic="attempts"), epoch=1)
        solver = Solver()
        done: list[Event] = []

        @dataclass
        class Stray:
            given: list[Delivery]

            async def take(self, limit: int, timeout_seconds: float | None = None) -> Any:
                if not self.given:
                    await asyncio.Event().wait()
                given, self.given = self.given, []
                return given

            async def complete(self, done_: Sequence[Positioned], outputs: Sequence[Event]) -> None:
                done.extend(outputs)

            def __getattr__(self, name: str) -> Any:
                raise AttributeError(name)

        stop = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            subscription: Any = Stray([stray])
            tasks.create_task(runner(solver, subscription).run(stop))
            await until(lambda: bool(done))
            stop.set()
        assert solver.started == []
        [letter] = done
        assert isinstance(letter, DeadLetter)
        assert letter.channel == "attempts.dead"
        assert letter.reason == "task does not belong on topic attempts"

    asyncio.run(scenario())


def test_a_dead_letter_of_any_record_can_be_written_and_read() -> None:
    async def scenario() -> None:
        bus = MemoryBus()
        await bus.publish([task(0)])
        [record] = [record for partition in range(4) for record in bus.read("tasks", partition)]
        worst = replace(
            record,
            value=b"\xff" * (MAX_DEAD_BYTES + 1),
            headers={f"h{index}\ud800": "\udcff" * 10_000 for index in range(1_000)},
        )
        delivery = Delivery(record=worst, epoch=1)
        letter = dead_letter(delivery, Rejected("\ud800"), group="solver", run=RUN)
        await bus.publish([letter])
        [read] = dead(bus)
        assert read == letter
        assert "kept 4,194,304 of 4,194,305 bytes" in read.reason
        assert base64.b64decode(read.value) == worst.value[:MAX_DEAD_BYTES]
        assert letter.id == dead_letter(delivery, Rejected("x"), group="solver", run=RUN).id

    asyncio.run(scenario())


def test_an_answer_continues_the_trace_of_what_it_answers() -> None:
    async def scenario() -> None:
        bus = MemoryBus()
        await bus.publish([task(index) for index in range(4)])
        await work(bus, Solver(), lambda: backlog(bus) == 0)

        def traces(topic: str) -> set[str]:
            records = (record for partition in range(4) for record in bus.read(topic, partition))
            return {record.headers["traceparent"].split("-")[1] for record in records}

        assert len(traces("tasks")) == 4
        assert traces("attempts") == traces("tasks")

    asyncio.run(scenario())
