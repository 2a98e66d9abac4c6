"""Every family and level alike: the control that shows what learning owes to the curriculum."""

from collections.abc import Sequence
from random import Random
from typing import Literal

from agents.domains.domain import Domain
from agents.parts import PartConfig, Parts
from agents.sources.source import Draft, Draw, Levels, SourceState, levels_of
from bus.events import LevelCount


class UniformConfig(PartConfig):
    """Families and levels with equal chances; of `levels` alone, where some are named."""

    type: Literal["uniform"] = "uniform"
    levels: Levels | None = None

    def build(self, parts: Parts) -> "Uniform":
        return Uniform(parts.domain, self.levels)


class Uniform:
    """Remembers nothing."""

    def __init__(self, domain: Domain, levels: Sequence[int] | None = None) -> None:
        self._domain = domain
        self._levels = levels_of(domain, levels)

    @property
    def state(self) -> SourceState:
        return SourceState(success={}, top={})

    def restore(self, state: SourceState) -> None:
        pass

    def fold(self, batch: Sequence[LevelCount]) -> None:
        pass

    async def draw(self, count: int, random: Random, version: int, draw_id: str) -> Draw:
        families, levels = list(self._domain.families), self._levels
        problems = [
            self._domain.make(random.choice(families), random.choice(levels), random)
            for _ in range(count)
        ]
        return Draw(drafts=tuple(Draft(problem=found, source="uniform") for found in problems))
