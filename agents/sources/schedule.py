"""Levels by the clock: one step beyond the warm-up, and one more every so many versions.

Self-improving transformers (Lee et al. 2025, arXiv 2502.01612): round r asks for length n + r,
whether or not the round before was learned; or, where `advance_at` is given, as soon as the answers
agree that often. What is right is never asked for.
"""

from collections.abc import Sequence
from random import Random
from typing import Literal

from pydantic import Field

from agents.domains.domain import Domain
from agents.parts import PartConfig, Parts
from agents.sources.source import Draft, Draw, SourceState
from bus.events import LevelCount


class ScheduleConfig(PartConfig):
    """The level goes up every `every` versions; with `advance_at` instead when that share of its
    samples was judged right, as a running mean in which a batch counts for `rate`. It begins at
    `first`, or else one level above the warm-up, and stays at the last level of the domain."""

    type: Literal["schedule"] = "schedule"
    every: int = Field(default=12, gt=0)
    advance_at: float | None = Field(default=None, gt=0, lt=1)
    rate: float = Field(default=0.3, gt=0, le=1)
    first: int | None = Field(default=None, ge=1)

    def build(self, parts: Parts) -> "Schedule":
        return Schedule(parts.domain, self)


class Schedule:
    """All families are asked at the same level. By the clock it follows from the version alone;
    with `advance_at` it is a fold of the batches."""

    def __init__(self, domain: Domain, config: ScheduleConfig) -> None:
        self._domain = domain
        self._config = config
        seen = max(domain.warmup_levels, default=0)
        first = seen + 1 if config.first is None else config.first
        self._levels = [level for level in domain.levels if level >= first] or [domain.levels[-1]]
        self._level = self._levels[0]
        self._success: dict[str, float] = {}

    @property
    def state(self) -> SourceState:
        top = dict.fromkeys(self._domain.families, self._level)
        return SourceState(success=dict(self._success), top=top)

    def restore(self, state: SourceState) -> None:
        self._success = dict(state.success)
        self._level = max(state.top.values(), default=self._levels[0])

    def fold(self, batch: Sequence[LevelCount]) -> None:
        for count in batch:
            if count.family not in self._domain.families or count.level not in self._domain.levels:
                continue
            name = f"{count.family}/{count.level}"
            known = self._success.get(name, 0.0)
            share = count.correct / count.samples
            self._success[name] = known + self._config.rate * (share - known)
        if (wanted := self._config.advance_at) is not None:
            rates = [self._success.get(f"{one}/{self._level}", 0) for one in self._domain.families]
            if min(rates) >= wanted:
                self._level = self._after(self._level)

    async def draw(self, count: int, random: Random, version: int, draw_id: str) -> Draw:
        if self._config.advance_at is None:
            passed = version // self._config.every
            self._level = self._levels[min(passed, len(self._levels) - 1)]
        families = list(self._domain.families)
        problems = [
            self._domain.make(random.choice(families), self._level, random) for _ in range(count)
        ]
        return Draw(drafts=tuple(Draft(problem=one, source="schedule") for one in problems))

    def _after(self, level: int) -> int:
        return next((higher for higher in self._levels if higher > level), level)
