"""Judgments to learn from and models small enough to learn in milliseconds."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import torch

from bus.codec import encode
from bus.events import (
    Attempt,
    Event,
    Judgment,
    Proposal,
    Refusal,
    Sample,
    Span,
    Task,
    Turn,
    Verdict,
    derive_id,
)
from bus.log import Log
from bus.memory.bus import MemoryBus
from bus.records import Delivery, Record
from bus.topics import TOPICS, partition_of
from trainer.batch import Batch
from trainer.checkpoint.manifest import Consumed
from trainer.config import LearnerConfig, ModelConfig, OptimizerConfig
from trainer.filters.everything import AllConfig
from trainer.filters.filter import Filter
from trainer.learner import Learner
from trainer.optimizer import Optimizer
from trainer.seed_model import make_model
from trainer.updates.nll import NllConfig
from trainer.updates.update import Update

RUN = "lessons"
AT = datetime(2026, 3, 1, tzinfo=UTC)
GRANT = derive_id(RUN, "trainer", "seed model")
TINY = ModelConfig(hidden=16, intermediate=24, layers=2, heads=2, head_dim=8, vocab=64)


def turn(tokens: Sequence[int], version: int = 0, prompt: Sequence[int] = (31, 2, 27)) -> Turn:
    return Turn(
        prompt_tokens=tuple(prompt),
        tokens=tuple(tokens),
        logprobs=tuple(-0.5 - 0.25 * index for index in range(len(tokens))),
        text="".join(map(str, tokens)),
        finish_reason="stop",
        spans=(Span(version=version, start=0, end=len(tokens)),),
    )


def task(index: int, level: int = 1, proposal: Proposal | None = None) -> Task:
    return Task(
        id=derive_id(RUN, "proposer", GRANT, index),
        run=RUN,
        created_at=AT,
        agent="proposer",
        domain="strings",
        family="reverse",
        level=level,
        prompt=f"r{index}>",
        question=f"Reverse {index}",
        answer=str(index)[::-1],
        weights_version=0,
        granted_by=GRANT,
        source="learned" if proposal else "curriculum",
        proposal=proposal,
    )


def judgment(
    index: int,
    rewards: Sequence[float] = (1.0, 0.0),
    *,
    version: int = 0,
    level: int = 1,
    proposal: Proposal | None = None,
) -> Judgment:
    """Of task `index`: one sample of its own length and tokens per reward."""
    asked = task(index, level, proposal)
    samples = tuple(
        Sample(turns=(turn([2 + (index + place) % 10] * (1 + place % 3) + [1], version),))
        for place in range(len(rewards))
    )
    attempt = Attempt(
        id=derive_id(RUN, "solver", asked.id),
        run=RUN,
        created_at=AT,
        agent="solver",
        task=asked,
        samples=samples,
        temperature=1.0,
    )
    return Judgment(
        id=derive_id(RUN, "critic", attempt.id),
        run=RUN,
        created_at=AT,
        agent="critic",
        attempt=attempt,
        verdicts=tuple(
            Verdict(scores={}, reward=reward, reason="", provenance="exact") for reward in rewards
        ),
        critic="exact",
    )


def proposal(index: int) -> Proposal:
    return Proposal(turn=turn([20, 3 + index % 9, 1]), draw=GRANT, draw_size=8, index=index)


def refusal(index: int) -> Refusal:
    return Refusal(
        id=derive_id(RUN, "proposer", GRANT, 1000 + index),
        run=RUN,
        created_at=AT,
        agent="proposer",
        proposal=proposal(index),
        reason="duplicate",
        weights_version=0,
        granted_by=GRANT,
    )


def delivery(event: Event, offset: int) -> Delivery:
    """As if `event` lay at `offset` of the partition its key falls into."""
    key, headers, value = encode(event)
    partition = partition_of(event.key, TOPICS[event.channel].partitions)
    record = Record(
        topic=event.channel,
        partition=partition,
        offset=offset,
        key=key,
        headers=headers,
        value=value,
    )
    return Delivery(record=record, epoch=1)


def batch(judgments: Sequence[Judgment]) -> Batch:
    return Batch(
        judgments=tuple(judgments),
        trained=tuple(
            Consumed(id=each.id, topic="judgments", partition=0, offset=offset)
            for offset, each in enumerate(judgments)
        ),
        dropped=(),
        num_tasks=len(judgments),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Parts for blocks of a trainer."""

    run: str = RUN
    seed: int = 3
    log: Log = field(default_factory=MemoryBus)

    def encode(self, answer: str) -> tuple[int, ...]:
        """Digits as `turn` has them, and the end."""
        return (*(2 + int(digit) for digit in answer), 1)


PARTS = Ground()


def learner(seed: int = 3, update: Update | None = None, keeps: Filter | None = None) -> Learner:
    torch.set_num_threads(1)
    model = make_model(TINY, seed)
    return Learner(
        model=model,
        optimizer=Optimizer(model, OptimizerConfig()),
        filter=keeps or AllConfig().build(PARTS),
        update=update or NllConfig(steps=2, fresh_rows=4, replay_rows=4).build(PARTS),
        config=LearnerConfig(ema_decay=0.5, replay_capacity=8),
        seed=seed,
    )
