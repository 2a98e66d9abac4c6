"""Tasks made of other tasks: a parent of the pool and one operator of the domain. No model writes.

    seed tasks + what was judged in the last versions -> a parent -> an operator -> a task

The pool is a fold of the judgments that the last versions consumed, read from the log, so whoever
reads it again has the same one. A task that all samples solved, or none, is eliminated from it.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from statistics import fmean
from typing import Literal, Protocol, cast

from pydantic import Field

from agents.domains.domain import Domain, NotATask, Problem, problem_of
from agents.parts import PartConfig, Parts
from agents.sources.context import seed_problems
from agents.sources.memory import Entry, Memory, remembered
from agents.sources.source import Draft, Draw, SourceState
from bus.errors import Unreadable
from bus.events import Judgment, LevelCount
from bus.log import Log
from bus.versions import Versions

Operator = Literal["deepen", "widen", "complicate"]

_TRIES = 50


class MutateConfig(PartConfig):
    """`share` of a draw are evolved; the rest are seed tasks as they are. A parent is any task of
    the pool, or ("regret") drawn by how much better its best answer was than the mean one. The pool
    has `seed_tasks` fixed tasks of the warm-up levels, and of what the last `rounds` versions
    learned from what was solved sometimes. No task is evolved that is equal to one of the last
    `memory` that were asked."""

    type: Literal["mutate"] = "mutate"
    operators: tuple[Operator, ...] = Field(default=("deepen", "widen", "complicate"), min_length=1)
    parents: Literal["any", "regret"] = "any"
    share: float = Field(default=1.0, ge=0, le=1)
    seed_tasks: int = Field(default=175, gt=0)
    rounds: int = Field(default=16, gt=0)
    memory: int = Field(default=20_000, ge=0)

    def build(self, parts: Parts) -> "Mutate":
        return Mutate(parts, self)


class Evolves(Domain, Protocol):
    """A domain whose tasks can be made into others."""

    def evolve(self, problem: Problem, operator: str, random: Random) -> Problem:
        """Another problem; raises `NotATask` where the operator makes none."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A task of the pool. `regret` is what its best sample earned more than the mean one, None of a
    seed task that was not asked in the last rounds."""

    problem: Problem
    regret: float | None = None


class Mutate:
    """Its state is all on the log."""

    def __init__(self, parts: Parts, config: MutateConfig) -> None:
        domain = parts.domain
        if not hasattr(domain, "evolve"):
            raise ValueError(f"{domain.name} has no operators that make a task of another")
        self._domain = cast(Evolves, domain)
        self._config = config
        self._log = parts.log
        self._versions = Versions(parts.log)
        self._seeds = seed_problems(parts.domain, config.seed_tasks, parts.seed)
        self._judged: dict[int, list[Judgment]] = {}
        self._memory = Memory(config.memory)

    @property
    def state(self) -> SourceState:
        return SourceState(success={}, top={})

    def restore(self, state: SourceState) -> None:
        self._judged = {}
        self._memory = Memory(self._config.memory)
        self._memory.keep(remembered(self._log, self._config.memory))

    def fold(self, batch: Sequence[LevelCount]) -> None:
        pass

    async def draw(self, count: int, random: Random, version: int, draw_id: str) -> Draw:
        if count == 0:
            return Draw(drafts=())
        await asyncio.to_thread(self._read, version)
        pool = self.pool()
        drawn: dict[str, Problem] = {}
        asked: list[Problem] = []
        for _ in range(count):
            child = None
            if random.random() < self._config.share:
                child = self._child(pool, drawn, random)
            if child is not None:
                drawn[child.prompt] = child
            asked.append(child or random.choice(self._seeds))
        self._memory.add(Entry(prompt=problem.prompt, written=None) for problem in asked)
        return Draw(drafts=tuple(Draft(problem=problem, source="mutate") for problem in asked))

    def pool(self) -> list[Member]:
        """The seed tasks, and what was solved sometimes, as it was judged last."""
        members = {problem.prompt: Member(problem=problem) for problem in self._seeds}
        seeds = frozenset(members)
        for version in sorted(self._judged):
            for judgment in self._judged[version]:
                prompt = judgment.attempt.task.prompt
                if 0 < judgment.success < 1 or prompt in seeds:
                    members[prompt] = _member(judgment)
                else:
                    members.pop(prompt, None)
        return list(members.values())

    def _child(
        self, pool: Sequence[Member], drawn: dict[str, Problem], random: Random
    ) -> Problem | None:
        """A task that is new, None if none was found."""
        weights = self._weights(pool)
        for _ in range(_TRIES):
            [parent] = random.choices(pool, weights)
            with suppress(NotATask):
                operator = random.choice(self._config.operators)
                child = self._domain.evolve(parent.problem, operator, random)
                if child.prompt not in drawn and child.prompt not in self._memory:
                    return child
        return None

    def _weights(self, pool: Sequence[Member]) -> list[float] | None:
        """None where all count alike: always, or while nothing is known to have any regret."""
        if self._config.parents == "any":
            return None
        weights = [member.regret or 0.0 for member in pool]
        return weights if any(weights) else None

    def _read(self, version: int) -> None:
        """What the last versions learned from. Reads the log."""
        oldest = max(1, version + 1 - self._config.rounds)
        self._judged = {
            number: self._judged.get(number) or list(self._consumed(number))
            for number in range(oldest, version + 1)
        }

    def _consumed(self, number: int) -> Iterator[Judgment]:
        """The judgments of one version, by the prompts of their tasks."""
        weights = self._versions.numbered(number)
        found: list[Judgment] = []
        for place, ranges in {} if weights is None else weights.positions.items():
            topic, _, partition = place.partition("/")
            if topic == Judgment.topic:
                found += _judgments(self._log, int(partition), ranges)
        return iter(sorted(found, key=lambda judgment: judgment.attempt.task.prompt))


def _judgments(log: Log, partition: int, ranges: Sequence[tuple[int, int]]) -> Iterator[Judgment]:
    for start, end in ranges:
        for record in log.read(Judgment.topic, partition, start, end):
            with suppress(Unreadable):
                if isinstance(event := record.event(), Judgment):
                    yield event


def _member(judgment: Judgment) -> Member:
    rewards = [verdict.reward for verdict in judgment.verdicts]
    return Member(problem=problem_of(judgment.attempt.task), regret=max(rewards) - fmean(rewards))
