"""Levels by learnability: ask where the solver succeeds sometimes.

Per family and level an estimate p of the success rate; levels are drawn with weight p(1 - p),
the variance of a verdict, and the frontier moves on when its level succeeds often enough.
"""

from collections.abc import Sequence
from random import Random
from typing import Literal

from pydantic import Field

from agents.domains.domain import Domain
from agents.parts import PartConfig, Parts
from agents.sources.source import Draft, Draw, Levels, SourceState, levels_of
from bus.events import LevelCount


class CurriculumConfig(PartConfig):
    """`advance_at` is the success rate at which the frontier moves; `floor` keeps every level
    asked now and then; `rate` is the weight of a batch with at least `full_count` tasks. Where
    `levels` are named, no others are asked."""

    type: Literal["curriculum"] = "curriculum"
    advance_at: float = Field(default=0.25, gt=0, lt=1)
    floor: float = Field(default=0.02, gt=0)
    rate: float = Field(default=0.5, gt=0, le=1)
    full_count: int = Field(default=8, gt=0)
    levels: Levels | None = None

    def build(self, parts: Parts) -> "Curriculum":
        return Curriculum(parts.domain, self)


class Curriculum:
    """The rule. Its state is a fold of the batches, nothing else."""

    def __init__(self, domain: Domain, config: CurriculumConfig) -> None:
        self._domain = domain
        self._config = config
        self._levels = sorted(set(levels_of(domain, config.levels)))
        seen = max(domain.warmup_levels, default=0)
        first = next((level for level in self._levels if level > seen), self._levels[-1])
        self._top = {family: first for family in domain.families}
        self._success = {
            f"{family}/{level}": 0.9 if level <= seen else 0.3 if level == first else 0.0
            for family in domain.families
            for level in domain.levels
        }

    @property
    def state(self) -> SourceState:
        return SourceState(success=dict(self._success), top=dict(self._top))

    def restore(self, state: SourceState) -> None:
        self._success.update(state.success)
        self._top.update(state.top)

    def fold(self, batch: Sequence[LevelCount]) -> None:
        for count in batch:
            name = f"{count.family}/{count.level}"
            if name not in self._success:
                continue
            rate = self._config.rate * min(1.0, count.tasks / self._config.full_count)
            self._success[name] += rate * (count.correct / count.samples - self._success[name])
        for family, known in self._top.items():
            top = known
            above = [level for level in self._levels if level > top]
            while above and self._success.get(f"{family}/{top}", 1) > self._config.advance_at:
                top = above.pop(0)
            self._top[family] = top

    async def draw(self, count: int, random: Random, version: int, draw_id: str) -> Draw:
        return Draw(drafts=tuple(self.draft(random) for _ in range(count)))

    def draft(self, random: Random) -> Draft:
        family = random.choice(list(self._domain.families))
        levels = [level for level in self._levels if level <= self._top[family]]
        rates = [self._success[f"{family}/{level}"] for level in levels]
        weights = [rate * (1 - rate) + self._config.floor for rate in rates]
        level = random.choices(levels, weights)[0]
        return Draft(problem=self._domain.make(family, level, random), source="curriculum")
