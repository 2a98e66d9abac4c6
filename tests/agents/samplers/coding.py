"""Codes for tests of lessons: tasks, a model that tries by elimination, and a solver in a process
of its own. Loads no library of tests."""

import asyncio
import re
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from agents.domains.domain import fields_of
from agents.domains.programs.codes import Codes, CodesConfig
from agents.engines.scripted import ScriptedEngine
from agents.samplers.lessons import LessonsConfig
from agents.solver import Solver, SolverConfig
from bus.bus import Bus
from bus.events import Task, derive_id
from bus.runner import Runner
from bus.sqlite.bus import SqliteBus
from tests.agents.asking import RUN, weights
from tests.agents.parts import parts_for
from tests.bus.solving import events_on, until

CODES = CodesConfig(codes=3)
DOMAIN: Codes = CODES.build()
TINY = LessonsConfig(
    about="{code}",
    reflect="?{prompt}{answer}",
    retry="{lessons}!{prompt}",
    between="",
    max_tokens=8,
)
Script = Callable[[str, int, Random], str]


def task(index: int, code: str | None = None) -> Task:
    """A task about a code; without one, about any."""
    made = (DOMAIN.make("codes", 2, Random(f"{code}/{index}/{n}")) for n in range(1000))
    problem = next(one for one in made if code in (None, one.metadata["code"]))
    return Task(
        id=derive_id(RUN, "proposer", f"{code}", index),
        run=RUN,
        agent="proposer",
        domain="codes",
        **fields_of(problem),
        weights_version=0,
        granted_by=weights(0).id,
        source="uniform",
    )


def by_elimination(prompt: str, version: int, random: Random) -> str:
    """Tries the operations in their order, but those that a lesson rules out; a lesson says which
    of them gave the wrong answer."""
    asked = re.sub(r".*[!?]", "", prompt)
    question, _, answer = asked.partition(">")
    problem = DOMAIN.pose(question)
    mistakes: dict[str, str] = problem.metadata["mistakes"]
    if prompt.startswith("?"):
        return next(lesson for lesson, wrong in mistakes.items() if wrong == answer)
    left = next(letter for letter in CODES.operations if f"-{letter}" not in prompt)
    return mistakes.get(f"-{left}", problem.answer)


def solver(bus: Bus, script: Script = by_elimination, samples: int = 1, **settings: Any) -> Solver:
    engine = ScriptedEngine(script, version=0)
    parts = parts_for(CODES, engine=engine, bus=bus)
    config = TINY.model_copy(update=settings)
    return Solver(parts, config.build(parts), SolverConfig(samples=samples))


CODE = max(DOMAIN._meanings, key=lambda code: CODES.operations.index(DOMAIN._meanings[code]))
LAST = CODES.operations.index(DOMAIN._meanings[CODE])
"""A code whose operation comes after `LAST` others in the order in which they are tried."""


TASKS = 8


async def work(path: Path) -> None:
    """Solves every task on the log at `path`, in a process that may be killed."""
    bus = SqliteBus(path)
    role = solver(bus, tries=LAST + 1)
    async with bus.subscribe(["tasks"], "solver", "solver") as subscription:
        running = Runner(role, subscription, group="solver", run=RUN, concurrency=3)
        stop = asyncio.Event()
        async with asyncio.timeout(30), asyncio.TaskGroup() as group:
            group.create_task(running.run(stop))
            await until(lambda: len(events_on(bus, "attempts")) == TASKS)
            stop.set()
    await bus.close()


if __name__ == "__main__":
    asyncio.run(work(Path(sys.argv[1])))
