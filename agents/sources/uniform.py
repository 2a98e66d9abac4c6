"""Every family and level alike: the control that shows what learning owes to the curriculum."""

from collections.abc import Sequence
from random import Random
from typing import Annotated, Literal

from pydantic import Field

from agents.domains.domain import Domain
from agents.parts import PartConfig, Parts
from agents.sources.source import Draft, Draw, SourceState
from bus.events import LevelCount


class UniformConfig(PartConfig):
    """Families and levels with equal chances; of `levels` alone, where some are named."""

    type: Literal["uniform"] = "uniform"
    levels: tuple[Annotated[int, Field(ge=1)], ...] | None = None

    def build(self, parts: Parts) -> "Uniform":
        return Uniform(parts.domain, self.levels)


class Uniform:
    """Remembers nothing."""

    def __init__(self, domain: Domain, levels: Sequence[int] | None = None) -> None:
        if extra := set(levels or ()) - set(domain.levels):
            raise ValueError(f"source.levels {sorted(extra)} are not among those of the domain")
        self._domain = domain
        self._levels = list(levels or domain.levels)

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
