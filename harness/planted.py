"""A role that publishes and commits in two steps, as naive code does, and dies in between: what an
audit must find. `python -m harness.planted FOLDER ORDER` is the process of that role.
"""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal
from uuid import uuid4

from bus.bus import Bus
from bus.codec import encode
from bus.config import KafkaConfig
from bus.events import Attempt, Event, Sample, Span, Task, Turn, derive_id
from bus.faults import fault_point
from bus.kafka.cluster.cluster import Cluster
from bus.topics import TOPICS, partition_of
from evolvent.recipe.load import load_recipe
from evolvent.run.folder import RunFolder
from harness.runs import last_words, launch, say
from observability.audit.audit import audit

Order = Literal["together", "publish-commit", "commit-publish"]
ORDERS: tuple[Order, ...] = ("together", "publish-commit", "commit-publish")

BETWEEN = "planted.between"
_TASKS = 24
_TOGETHER = 4
_WAIT_SECONDS = 60.0


async def serve(folder: Path, order: Order) -> None:
    """What the process does that is killed, until it has come to the end of the tasks."""
    config = RunFolder(folder).recipe().bus
    assert isinstance(config, KafkaConfig)
    bus = config.build(folder)
    cluster = Cluster(bootstrap_servers=config.bootstrap_servers, app=config.app)
    async with bus.subscribe(["tasks"], "solver", "solver") as subscription:
        while any(lag.backlog for lag in bus.log.lag("solver")):
            taken = await subscription.take(_TOGETHER, 1.0)
            answers = [_answer(delivery.event()) for delivery in taken]
            if order == "publish-commit":
                await _publish(cluster, answers)
                fault_point(BETWEEN)
            await subscription.complete(taken, answers if order == "together" else [])
            if order != "publish-commit":
                fault_point(BETWEEN)
            if order == "commit-publish":
                await _publish(cluster, answers)
    await bus.close()


async def _publish(cluster: Cluster, outputs: Sequence[Event]) -> None:
    """As a program does that knows no transaction and gives every record a new id."""
    producer = cluster.producer()
    await cluster.start(producer)
    try:
        for output in outputs:
            key, headers, value = encode(output.model_copy(update={"id": uuid4().hex}))
            await producer.send_and_wait(
                cluster.topic(output.channel),
                value,
                key=key.encode(),
                partition=partition_of(key, TOPICS[output.channel].partitions),
                headers=[(name, text.encode()) for name, text in headers.items()],
            )
    finally:
        await cluster.stop(producer)


async def is_caught(folder: Path, address: str, kills: int) -> bool:
    """Whether the audit finds what two steps lose or double, and nothing after commits in one."""
    together, doubling, losing = await asyncio.gather(
        *(found_by_audit(folder / order, address, order, kills) for order in ORDERS)
    )
    say(f"planted: {doubling['duplicated']} duplicated, {losing['lost']} lost")
    clean = together["duplicated"] == together["lost"] == 0
    return clean and doubling["duplicated"] > 0 and losing["lost"] > 0


async def found_by_audit(folder: Path, address: str, order: Order, kills: int) -> dict[str, int]:
    """What the audit counts after a role that commits in this order was killed so often."""
    name = f"{folder.name}-{uuid4().hex[:8]}"
    settings = ("type=kafka", f"bootstrap_servers={address}", f"app={name}")
    run = RunFolder(folder)
    run.create(load_recipe("strings", [f"bus.{setting}" for setting in settings]))
    bus = run.recipe().bus.build(folder, create=True)
    try:
        await bus.publish([_task(index) for index in range(_TASKS)])
        for _ in range(kills):
            assert await _live(folder, order, armed=True) == -9
        code = await _live(folder, order, armed=False)
        if code != 0:
            raise SystemExit(f"the planted role ended with code {code}: {_said(folder)}")
        await _look_at_attempts(bus)
        return (await asyncio.to_thread(audit, bus.log, folder)).counts
    finally:
        await bus.close()


async def _live(folder: Path, order: Order, *, armed: bool) -> int:
    faults = folder / "faults"
    faults.mkdir(exist_ok=True)
    if armed:
        (faults / BETWEEN).touch()
    process = launch(
        _printed(folder),
        [sys.executable, "-m", "harness.planted", str(folder), order],
        {"EVOLVENT_FAULTS": str(faults)},
    )
    return int(await asyncio.to_thread(process.wait, _WAIT_SECONDS))


async def _look_at_attempts(bus: Bus) -> None:
    """A foreign record gets its place on the log by its first reader."""
    async with bus.subscribe(["attempts"], "critic", "critic") as reader:
        while await reader.take(1000, 1.0):
            pass


def _printed(folder: Path) -> Path:
    return folder / "planted.txt"


def _said(folder: Path) -> str:
    return last_words(_printed(folder))


def _answer(task: Event) -> Attempt:
    assert isinstance(task, Task)
    turn = Turn(
        prompt_tokens=(1,),
        tokens=(2,),
        logprobs=(-0.5,),
        text="ba",
        finish_reason="stop",
        spans=(Span(version=0, start=0, end=1),),
    )
    return Attempt(
        id=derive_id(task.run, "solver", task.id),
        run=task.run,
        agent="solver",
        task=task,
        samples=(Sample(turns=(turn,)),),
        temperature=1.0,
    )


def _task(index: int) -> Task:
    return Task(
        id=derive_id("planted", "proposer", str(index)),
        run="planted",
        agent="proposer",
        domain="strings",
        family="reverse",
        level=2,
        prompt="ab",
        question="ab",
        answer="ba",
        weights_version=0,
        granted_by=derive_id("planted", "trainer", "seed"),
        source="curriculum",
    )


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), sys.argv[2]))  # type: ignore[arg-type]
