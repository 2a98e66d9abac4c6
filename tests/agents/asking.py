"""Versions, tasks and attempts for the roles, and engines that follow a script."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from random import Random

from agents.domains.strings import Strings, StringsConfig
from agents.engines.scripted import ScriptedEngine
from bus.events import Attempt, LevelCount, Sample, Span, Task, Turn, Weights, derive_id

RUN = "asking"
AT = datetime(2026, 3, 1, tzinfo=UTC)
STRINGS = StringsConfig(levels=(1, 2, 3, 4, 5, 6), warmup_levels=(1, 2))
DOMAIN: Strings = STRINGS.build()


def weights(
    number: int, consumed: int = 0, batch: Sequence[LevelCount] = (), location: str = ""
) -> Weights:
    return Weights(
        id=derive_id(RUN, "trainer", str(number)),
        run=RUN,
        agent="trainer",
        created_at=AT,
        number=number,
        parent=number - 1 if number else None,
        parent_id=derive_id(RUN, "trainer", str(number - 1)) if number else None,
        location=location,
        files={},
        step=number,
        epoch=1,
        consumed=consumed,
        batch=tuple(batch),
    )


def task(prompt: str, version: int = 0) -> Task:
    """The task that a user would type as `prompt`, such as `r3142`."""
    problem = DOMAIN.pose(prompt)
    return Task(
        id=derive_id(RUN, "proposer", prompt, version),
        run=RUN,
        agent="proposer",
        created_at=AT,
        domain="strings",
        family=problem.family,
        level=problem.level,
        prompt=problem.prompt,
        question=problem.question,
        answer=problem.answer,
        weights_version=version,
        granted_by=weights(version).id,
        source="curriculum",
    )


def attempt(asked: Task, answers: Sequence[str | None]) -> Attempt:
    """One sample per answer; None is one that did not end."""
    samples = [
        Turn(
            prompt_tokens=(1,),
            tokens=(2,),
            logprobs=(-0.5,),
            text=answer or "",
            finish_reason="length" if answer is None else "stop",
            spans=(Span(version=0, start=0, end=1),),
        )
        for answer in answers
    ]
    return Attempt(
        id=derive_id(RUN, "solver", asked.id),
        run=RUN,
        agent="solver",
        created_at=AT,
        task=asked,
        samples=tuple(Sample(turns=(turn,)) for turn in samples),
        temperature=1.0,
    )


def says(text: str) -> Callable[[str, int, Random], str]:
    return lambda prompt, version, random: text


def engine(script: Callable[[str, int, Random], str], version: int = 0) -> ScriptedEngine:
    return ScriptedEngine(script, version=version)
