"""When learning must not go on: the `Guard` protocol and the role that asks guards.

    Weights -> what that version learned from, and those before -> a guard's reason -> Control

A guard is a pure function of the last judged groups, in the order in which versions consumed them,
so every reader of the log finds the same verdict, and a repeated answer is the same event.
"""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any, Literal, Protocol, Self

from pydantic import Field, model_validator

from agents.guards.measured import Measured, measure
from agents.parts import PartConfig, Parts
from bus.control import objective_on
from bus.errors import Unreadable
from bus.events import Control, Event, Judgment, Weights, derive_id
from bus.log import Log
from bus.versions import Versions

AGENT = "guard"

GUARDED, REDIRECTED = "trainer", "proposer"
"""The role that is stopped or paused: without a new version nothing more is asked; and the one
whose source is told to ask otherwise."""


class Guard(Protocol):
    def reason(self, groups: Sequence[Measured]) -> str | None:
        """What is wrong with these groups, in one sentence; None where nothing is."""
        ...


class GuardConfig(PartConfig):
    """A guard looks at the newest `window` groups that were learned from, and says nothing before
    there are so many; its `action` is to stop the trainer, to pause it, or to let the source ask
    by the settings of `objective`, over those that were changed before."""

    window: int = Field(default=256, gt=0)
    action: Literal["stop", "pause", "objective"] = "stop"
    objective: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _says_what_for(self) -> Self:
        if self.objective and self.action != "objective":
            raise ValueError(f"objective is for action = 'objective', not for {self.action!r}")
        if self.action == "objective" and not self.objective:
            raise ValueError("action = 'objective' needs fields of the source in objective")
        if "type" in self.objective:
            raise ValueError("a run keeps its source: objective cannot change its type")
        return self

    @property
    def named(self) -> str:
        return str(type(self).model_fields["type"].default)

    def build(self, parts: Parts) -> Guard:
        raise NotImplementedError


class Guards:
    """Weights in; for each guard that has just found something, its word to a role out.

    A guard speaks once, when it finds something in a window in which it found nothing a version
    before. Whoever lets the trainer go on has heard it. Answers are compared by what stands
    `behind` the last occurrence of that text, as the vote compares them.
    """

    def __init__(self, parts: Parts, configs: Sequence[GuardConfig], behind: str = "") -> None:
        self._behind = behind
        self._run = parts.run
        self._log = parts.log
        self._versions = Versions(parts.log)
        self._guards = [(config, config.build(parts)) for config in configs]
        self._widest = max((config.window for config in configs), default=0)
        self._known: dict[str, tuple[Measured, ...]] = {}

    async def handle(self, event: Weights) -> Sequence[Event]:
        groups = await asyncio.to_thread(self._groups, event)
        now = [one for each in groups for one in each]
        before = now[len(groups[0]) :] if groups else []
        found = []
        for index, (config, guard) in enumerate(self._guards):
            reason = _reason(guard, now[: config.window], config.window)
            if reason and not _reason(guard, before[: config.window], config.window):
                found.append(await self._control(event, index, config, reason))
        return found

    def _groups(self, weights: Weights) -> list[tuple[Measured, ...]]:
        """What each version consumed, the newest first, as far back as the widest window of the
        version before reaches."""
        found: list[tuple[Measured, ...]] = []
        known: dict[str, tuple[Measured, ...]] = {}
        older = 0
        for version in self._versions.lineage(weights):
            measured = self._known.get(version.id)
            if measured is None:
                judgments = judgments_of(self._log, version)
                measured = tuple(measure(judgment, self._behind) for judgment in judgments)
            known[version.id] = measured
            older += len(measured) if found else 0
            found.append(measured)
            if older >= self._widest:
                break
        self._known = known
        return found

    async def _control(
        self, weights: Weights, index: int, config: GuardConfig, reason: str
    ) -> Control:
        redirects = config.action == "objective"
        before = await asyncio.to_thread(objective_on, self._log) if redirects else {}
        return Control(
            id=derive_id(self._run, AGENT, weights.id, index),
            run=self._run,
            agent=AGENT,
            command=config.action,
            role=REDIRECTED if redirects else GUARDED,
            weights_version=weights.number,
            settings={**before, **config.objective},
            guard=config.named,
            reason=reason,
        )


def judgments_of(log: Log, weights: Weights) -> Iterator[Judgment]:
    """What a version consumed, in the order of the log, what was too old to learn from too."""
    for place, ranges in sorted(weights.positions.items()):
        topic, _, partition = place.rpartition("/")
        if topic != Judgment.topic:
            continue
        for start, end in ranges:
            for record in log.read(topic, int(partition), start, end):
                try:
                    event = record.event()
                except Unreadable:
                    continue
                if isinstance(event, Judgment):
                    yield event


def _reason(guard: Guard, groups: Sequence[Measured], window: int) -> str | None:
    return guard.reason(groups) if len(groups) == window else None
