"""The ground on which parts are tried: a run in memory with two versions, engines that follow a
script, and one event of every topic.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from agents.domains.domain import Domain, NotATask, Problem, fields_of
from agents.domains.strings import StringsConfig
from agents.engines.scripted import EOS_ID, ScriptedEngine
from agents.judges.exact import ExactConfig
from agents.parts import Parts
from agents.policies.policy import Policies, Policy
from agents.policies.serving import Serving
from bus.events import (
    Attempt,
    Control,
    Curriculum,
    Evaluation,
    Event,
    Judgment,
    Lesson,
    LevelCount,
    Promotion,
    Proposal,
    Refusal,
    Sample,
    Span,
    SuiteScore,
    Task,
    Turn,
    Weights,
    derive_id,
)
from bus.memory.bus import MemoryBus
from bus.records import Delivery, to_records
from bus.runner import Rejected, dead_letter
from bus.topics import TOPICS

RUN, SEED, NEWEST = "contract", 1, 1
_AT = datetime(2026, 1, 1, tzinfo=UTC)
_STRINGS = StringsConfig(levels=(1, 2, 3, 4, 5, 6), warmup_levels=(1, 2))
_LOGPROB = -0.5


@asynccontextmanager
async def ground(domain: Any = _STRINGS) -> AsyncIterator[Parts]:
    """Parts whose log holds versions 0 and 1; every policy serves the newer one."""
    bus = MemoryBus()
    await bus.publish([weights(number) for number in range(NEWEST + 1)])
    script = _Script()
    with TemporaryDirectory(prefix="evolvent-contract-") as folder:
        parts = Parts(
            run=RUN,
            seed=SEED,
            domain=domain,
            log=bus.log,
            policy=Policies(
                lambda name: Policy(
                    name=name,
                    engine=ScriptedEngine(script, version=NEWEST, seed=SEED),
                    follower=_Still(),
                )
            ),
            serving=Serving(lambda: ScriptedEngine(script), Path(folder)),
            encode=lambda answer: turn(answer).tokens,
        )
        script.domain = parts.domain
        yield parts
    await bus.close()


class _Still:
    """Where no version follows, every engine is at its own."""

    async def run(self) -> None:
        await asyncio.Event().wait()

    async def at_least(self, version: int) -> None:
        pass


class _Script:
    """Answers a task rightly half of the time, writes tasks, and judges."""

    domain: Domain

    def __call__(self, prompt: str, version: int, random: Random) -> str:
        domain = self.domain
        if prompt.endswith(domain.proposer_prompt()):
            family, level = random.choice(list(domain.families)), random.choice(list(domain.levels))
            return domain.write(domain.make(family, level, random))
        try:
            answer = domain.pose(prompt).answer
        except NotATask:
            return random.choice(("yes", "no", "?"))
        return answer if random.random() < 0.5 else answer + "1"


def weights(number: int) -> Weights:
    return Weights(
        id=derive_id(RUN, "trainer", str(number)),
        run=RUN,
        agent="trainer",
        created_at=_AT,
        number=number,
        parent=number - 1 if number else None,
        parent_id=derive_id(RUN, "trainer", str(number - 1)) if number else None,
        location=".",
        files={},
        step=number,
        epoch=1,
        batch=(LevelCount(family="reverse", level=2, tasks=2, samples=8, correct=4),),
    )


def turn(text: str, *, ended: bool = True, trainable: bool = True) -> Turn:
    """What the scripted engine's alphabet makes of `text`."""
    engine = ScriptedEngine(lambda *_: "", version=NEWEST)
    tokens = engine.encode(text) + ((EOS_ID,) if ended else ())
    return Turn(
        prompt_tokens=engine.encode("r12>"),
        tokens=tokens,
        logprobs=(_LOGPROB,) * len(tokens),
        text=text,
        finish_reason="stop" if ended else "length",
        spans=(Span(version=NEWEST, start=0, end=len(tokens)),),
        trainable=trainable,
    )


def task(problem: Problem, index: int = 0) -> Task:
    return Task(
        id=derive_id(RUN, "proposer", "task", index),
        run=RUN,
        agent="proposer",
        created_at=_AT,
        domain="strings",
        **fields_of(problem),
        weights_version=NEWEST,
        granted_by=weights(NEWEST).id,
        source="curriculum",
    )


def attempt(asked: Task, samples: Sequence[Sample]) -> Attempt:
    return Attempt(
        id=derive_id(RUN, "solver", asked.id),
        run=RUN,
        agent="solver",
        created_at=_AT,
        task=asked,
        samples=tuple(samples),
        temperature=1.0,
    )


async def judgments(parts: Parts, count: int, num_samples: int = 4) -> list[Judgment]:
    """Of groups that are all wrong, all right, and between; every other sample has a turn of a
    frozen policy before its own."""
    judge, random, made = ExactConfig().build(parts), Random(SEED), []
    for index in range(count):
        family, level = random.choice(list(parts.domain.families)), 1 + index % 4
        asked = task(parts.domain.make(family, level, random), index)
        num_right = index % (num_samples + 1)
        samples = []
        for place in range(num_samples):
            own = turn(asked.answer if place < num_right else asked.answer + "1")
            frozen = (turn("0", trainable=False),) if place % 2 else ()
            samples.append(Sample(turns=(*frozen, own)))
        tried = attempt(asked, samples)
        made.append(
            Judgment(
                id=derive_id(RUN, "critic", tried.id),
                run=RUN,
                agent="critic",
                created_at=_AT,
                attempt=tried,
                verdicts=await judge.judge(tried),
                critic="exact",
            )
        )
    return made


async def events(parts: Parts) -> dict[str, Event]:
    """One event of every topic."""
    [judgment] = await judgments(parts, 1)
    newest = weights(NEWEST)
    said: dict[str, Any] = {"run": RUN, "agent": "contract", "created_at": _AT}
    about: dict[str, Any] = {**said, "weights": newest.id, "weights_version": NEWEST}
    proposal = Proposal(turn=turn("r12"), draw=newest.id, draw_size=1, index=0)
    score = SuiteScore(suite="reverse", level=3, total=4, correct=2, low=0.15, high=0.85)
    made: list[Event] = [
        newest,
        judgment.attempt.task,
        judgment.attempt,
        judgment,
        Refusal(
            id=derive_id(RUN, "contract", "refusal"),
            proposal=proposal,
            reason="duplicate",
            weights_version=NEWEST,
            granted_by=newest.id,
            **said,
        ),
        Lesson(
            id=derive_id(RUN, "contract", "lesson"),
            task=judgment.attempt.task.id,
            attempt=judgment.attempt.id,
            sample=0,
            about="reverse",
            turn=turn("12", trainable=False),
            **said,
        ),
        Curriculum(
            id=derive_id(RUN, "contract", "curriculum"),
            source="curriculum",
            success={"reverse/1": 0.5},
            top={"reverse": 3},
            proposed=8,
            **about,
        ),
        Evaluation(
            id=derive_id(RUN, "contract", "evaluation"),
            scores=(score,),
            held_out=0.5,
            seen=1.0,
            seconds=1.0,
            warmup_end=2,
            **about,
        ),
        Promotion(id=derive_id(RUN, "contract", "promotion"), decision="promoted", **about),
        Control(id=derive_id(RUN, "contract", "control"), command="start", **said),
    ]
    letters = []
    for record in to_records(made, TOPICS):
        delivery = Delivery(record=record, epoch=1)
        letters.append(dead_letter(delivery, Rejected("no"), group="contract", run=RUN))
    return {event.channel: event for event in (*made, *letters)}
