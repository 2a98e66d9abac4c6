"""A run made by hand for the audit: every role in turn, on the real bus. Knows no fault."""

import asyncio
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bus.bus import Subscription
from bus.events import (
    CURRENT,
    Attempt,
    Control,
    Curriculum,
    Event,
    Judgment,
    LevelCount,
    Proposal,
    Refusal,
    Sample,
    Span,
    Task,
    Turn,
    Verdict,
    Weights,
    derive_id,
)
from bus.records import Delivery
from bus.runner import dead_letter
from bus.sqlite.bus import SqliteBus
from trainer.batch import arrival
from trainer.checkpoint.manifest import (
    CHECKPOINTS,
    MANIFEST,
    Consumed,
    Dropped,
    Manifest,
    folder_name,
)
from trainer.checkpoint.manifest import sha256_of as digest_of

RUN = "r"
TASKS = 6
VERSIONS = 5
TRAINER_TOPICS = ("judgments", "refusals", "tasks.dead", "attempts.dead", "judgments.dead")


def turn(version: int, trainable: bool = True) -> Turn:
    return Turn(
        prompt_tokens=(1, 2),
        tokens=(3,),
        logprobs=(-0.5,),
        text="ba",
        finish_reason="stop",
        spans=(Span(version=version, start=0, end=1),),
        trainable=trainable,
    )


def task_of(weights: Weights, index: int) -> Task:
    return Task(
        id=derive_id(RUN, "proposer", weights.id, index),
        run=RUN,
        agent="proposer",
        domain="strings",
        family="reverse",
        level=2,
        prompt="ab",
        question="ab",
        answer="ba",
        weights_version=weights.number,
        granted_by=weights.id,
        source="curriculum",
    )


def refusal_of(weights: Weights) -> Refusal:
    return Refusal(
        id=derive_id(RUN, "gate", weights.id),
        run=RUN,
        agent="proposer",
        proposal=Proposal(turn=turn(weights.number), draw="d", draw_size=1, index=0),
        reason="duplicate",
        weights_version=weights.number,
        granted_by=weights.id,
    )


def attempt_of(
    task: Task, index: int = 0, version: int | None = None, trainable: bool = True
) -> Attempt:
    drawn = task.weights_version if version is None else version
    return Attempt(
        id=derive_id(RUN, "solver", task.id, index),
        run=RUN,
        agent="solver",
        task=task,
        samples=(Sample(turns=(turn(drawn, trainable),)),),
        temperature=1.0,
    )


def judgment_of(attempt: Attempt) -> Judgment:
    verdict = Verdict(scores={"exact": 1.0}, reward=1.0, reason="", provenance="exact")
    return Judgment(
        id=derive_id(RUN, "critic", attempt.id),
        run=RUN,
        agent="critic",
        attempt=attempt,
        verdicts=(verdict,),
        critic="exact",
    )


def reject(delivery: Delivery, group: str) -> Event:
    return dead_letter(delivery, ValueError("poison"), group=group, run=RUN)


def ranges_of(consumed: list[Any]) -> dict[str, tuple[tuple[int, int], ...]]:
    """Written apart from the code under test: a run per offset, merged where they touch."""
    ranges: dict[str, list[list[int]]] = {}
    for one in sorted(consumed, key=lambda c: (c.topic, c.partition, c.offset)):
        runs = ranges.setdefault(f"{one.topic}/{one.partition}", [])
        if runs and runs[-1][1] == one.offset:
            runs[-1][1] += 1
        else:
            runs.append([one.offset, one.offset + 1])
    return {name: tuple((a, b) for a, b in runs) for name, runs in ranges.items()}


def counted(judgments: int) -> tuple[LevelCount, ...]:
    """Of so many judgments of this run, of one sample each, all right."""
    level = LevelCount(
        family="reverse", level=2, tasks=judgments, samples=judgments, correct=judgments
    )
    return (level,) if judgments else ()


async def take_all(subscription: Subscription) -> list[Delivery]:
    deliveries: list[Delivery] = []
    while found := await subscription.take(100, 0.05):
        deliveries += found
    return deliveries


class Life:
    """A run made by hand: every role in turn, through the real bus, checkpoints of a few bytes.
    A run may do without a critic."""

    def __init__(self, folder: Path, has_critic: bool = True) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.bus = SqliteBus(folder / "log.sqlite")
        self.solver = self.bus.subscribe(["tasks"], "solver", "solver-1")
        self.critic = self.bus.subscribe(["attempts"], "critic", "critic-1") if has_critic else None
        self.proposer = self.bus.subscribe(["weights"], "proposer", "proposer-1")
        self.trainer = self.bus.subscribe(TRAINER_TOPICS, "trainer", "trainer-1", exclusive=True)
        self.epoch = 1
        self.head: Weights | None = None
        self.consumed = 0
        self.proposed = 0
        self.moves: Callable[[int], str] = lambda number: CURRENT

    async def start(self, max_staleness: int = 2, **settings: Any) -> None:
        await self.bus.publish(
            [
                Control(
                    id=derive_id(RUN, "operator", "start"),
                    run=RUN,
                    agent="operator",
                    command="start",
                    settings={
                        "trainer": {"max_staleness": max_staleness},
                        "evaluator": {"every": 1},
                        **settings,
                    },
                )
            ]
        )
        await self.learn([], publish=True)

    async def round(
        self, poison: bool = False, version: int | None = None, trainable: bool = True
    ) -> None:
        """Tasks proposed, solved, judged; not learned from."""
        await self.propose()
        await self.solve(poison, version, trainable)

    async def propose(self) -> None:
        assert self.head is not None
        weights = self.head
        delivered = await take_all(self.proposer)
        self.proposed += TASKS
        state = Curriculum(
            id=derive_id(RUN, "proposer", weights.id, TASKS),
            run=RUN,
            agent="proposer",
            weights=weights.id,
            weights_version=weights.number,
            source="curriculum",
            success={},
            top={},
            proposed=self.proposed,
            refused=1,
        )
        tasks = [task_of(weights, index) for index in range(TASKS)]
        await self.proposer.complete(delivered, [*tasks, refusal_of(weights), state])

    async def solve(
        self, poison: bool = False, version: int | None = None, trainable: bool = True
    ) -> None:
        for number, delivery in enumerate(await take_all(self.solver)):
            task = delivery.event()
            assert isinstance(task, Task)
            rejected = poison and number == 0
            attempt = attempt_of(task, version=version, trainable=trainable)
            answer = reject(delivery, "solver") if rejected else attempt
            await self.solver.complete([delivery], [answer])
        if self.critic is not None:
            await self._judge(self.critic, poison)

    async def _judge(self, critic: Subscription, poison: bool) -> None:
        for number, delivery in enumerate(await take_all(critic)):
            attempt = delivery.event()
            assert isinstance(attempt, Attempt)
            rejected = poison and number == 0
            answer = reject(delivery, "critic") if rejected else judgment_of(attempt)
            await critic.complete([delivery], [answer])

    async def learn(self, deliveries: list[Delivery], publish: bool = True) -> None:
        """The next version from `deliveries`, in the trainer's order."""
        arrivals = [arrival(delivery) for delivery in deliveries]
        consumed = [one.consumed for one in arrivals]
        trained = tuple(one.consumed for one in arrivals if isinstance(one.event, Judgment))
        dropped = tuple(
            Dropped(**one.model_dump(), reason="dead letter of someone: poison")
            for one in consumed
            if one not in trained
        )
        self.consumed += sum(one.topic != "refusals" for one in consumed)
        weights = self.checkpoint(trained, dropped)
        if publish:
            await self.trainer.complete(deliveries, [weights])
            self.head = weights

    def checkpoint(
        self, trained: tuple[Consumed, ...] = (), dropped: tuple[Dropped, ...] = ()
    ) -> Weights:
        parent = self.head
        number = 0 if parent is None else parent.number + 1
        name = folder_name(number, self.epoch)
        folder = self.folder / CHECKPOINTS / f".{name}"
        (folder / "state").mkdir(parents=True)
        (folder / "model.safetensors").write_bytes(random.Random(number).randbytes(64))
        (folder / "config.json").write_text("{}")
        (folder / "state" / "state.safetensors").write_bytes(b"state")
        files = {file: digest_of(folder / file) for file in ("model.safetensors", "config.json")}
        weights = Weights(
            id=derive_id(RUN, "trainer", parent.id if parent else "seed", self.epoch),
            run=RUN,
            agent="trainer",
            number=number,
            parent=parent.number if parent else None,
            parent_id=parent.id if parent else None,
            location=f"{CHECKPOINTS}/{name}",
            files=files,
            step=10 * number,
            epoch=self.epoch,
            positions=ranges_of([*trained, *dropped]),
            trained=len(trained),
            dropped=len(dropped),
            consumed=self.consumed,
            batch=counted(len(trained)),
            policy=self.moves(number),
        )
        manifest = Manifest(
            recipe="0" * 64,
            trained=trained,
            dropped=dropped,
            files=files,
            state={"state/state.safetensors": digest_of(folder / "state/state.safetensors")},
            weights=weights,
        )
        (folder / MANIFEST).write_text(manifest.model_dump_json())
        folder.rename(folder.with_name(name))
        return weights

    async def live(self, versions: int) -> None:
        """`versions` after the first; a new trainer takes over half-way; a poisoned round."""
        for number in range(versions):
            await self.round(poison=number == 1)
            await self.learn(await take_all(self.trainer))
            if number == versions // 2:
                self.epoch += 1

    async def close(self) -> None:
        for subscription in (self.solver, self.critic, self.proposer, self.trainer):
            if subscription is not None:
                await subscription.close()
        await self.bus.close()


def make(folder: Path, script: Callable[[Life], Any], has_critic: bool = True) -> Path:
    async def live() -> None:
        life = Life(folder, has_critic)
        try:
            await life.start()
            await script(life)
        finally:
            await life.close()

    asyncio.run(live())
    return folder
