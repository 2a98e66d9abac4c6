"""A role for tests: it answers every task with an attempt, on a bus that is looked at."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bus.bus import Bus, Subscription
from bus.events import Attempt, DeadLetter, Event, Task, derive_id
from bus.runner import Counters, Runner
from bus.topics import TOPICS

RUN = "run"
GRANT = derive_id(RUN, "trainer", "seed")


def task(index: int, **changes: Any) -> Task:
    return Task(
        id=derive_id(RUN, "proposer", GRANT, index), run=RUN, agent="proposer", domain="words",
        family="reverse", level=index, prompt="ab", question="ab", answer="ba",
        weights_version=0, granted_by=GRANT, source="seed",
    ).model_copy(update=changes)  # fmt: skip


def answer(event: Task) -> Attempt:
    id = derive_id(RUN, "solver", event.id)
    return Attempt(id=id, run=RUN, agent="solver", task=event, samples=(), temperature=1.0)


@dataclass
class Solver:
    """Answers every task; first does what the test asks for at a task's level."""

    first: dict[int, Callable[[], Awaitable[None]]] = field(default_factory=dict)
    started: list[int] = field(default_factory=list)
    cancelled: list[int] = field(default_factory=list)

    async def handle(self, event: Task) -> Sequence[Event]:
        self.started.append(event.level)
        try:
            if event.level in self.first:
                await self.first[event.level]()
        except asyncio.CancelledError:
            self.cancelled.append(event.level)
            raise
        return [answer(event)]


def raises(error: Exception) -> Callable[[], Awaitable[None]]:
    async def fail() -> None:
        raise error

    return fail


def events_on(bus: Bus, topic: str) -> list[Event]:
    return [
        record.event()
        for partition in range(TOPICS[topic].partitions)
        for record in bus.log.read(topic, partition)
    ]


def levels(bus: Bus) -> list[int]:
    """The levels of the tasks that were answered."""
    events = events_on(bus, "attempts")
    return sorted(event.task.level for event in events if isinstance(event, Attempt))


def dead(bus: Bus) -> list[DeadLetter]:
    return [event for event in events_on(bus, "tasks.dead") if isinstance(event, DeadLetter)]


def backlog(bus: Bus) -> int:
    return sum(lag.backlog for lag in bus.log.lag("solver"))


async def let_pass(seconds: float) -> None:
    """In ten steps: where the machine stands still in one of them the others are still waited."""
    for _ in range(10):
        await asyncio.sleep(seconds / 10)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - what a reader of the log sees has no event
            await asyncio.sleep(0.001)


def runner(role: Solver, subscription: Subscription, **options: Any) -> Runner[Task]:
    return Runner(role, subscription, group="solver", run=RUN, **({"concurrency": 4} | options))


async def work(
    bus: Bus, role: Solver, done: Callable[[], bool], member: str = "solver-0", **options: Any
) -> Counters:
    """Run the role until `done`, then stop it gracefully."""
    async with bus.subscribe(["tasks"], "solver", member) as subscription:
        working = runner(role, subscription, **options)
        stop = asyncio.Event()
        async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
            tasks.create_task(working.run(stop))
            await until(done)
            stop.set()
    return working.counters
