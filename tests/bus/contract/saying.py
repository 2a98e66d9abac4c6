"""What the tests of the contract say on a bus, and what they look at."""

import asyncio
from collections.abc import Callable, Sequence

from bus.bus import Bus, Subscription
from bus.events import Control, Promotion, Task, derive_id
from bus.records import Delivery, Record

SOON = 30.0
SHORT = 0.1


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
    for lag in bus.log.lag(group):
        counts[lag.owner] = counts.get(lag.owner, 0) + 1
    return counts


def offsets(deliveries: Sequence[Delivery]) -> list[int]:
    return [delivery.offset for delivery in deliveries]


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
