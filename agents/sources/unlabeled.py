"""A fixed set of tasks, asked again and again in epochs, each time in another order.

The test set of test-time reinforcement learning (Zuo et al. 2025, arXiv 2504.16084): a recipe
without a verifier learns on it, and nobody reads the right answers but whoever measures.
"""

from collections.abc import Sequence
from functools import lru_cache
from random import Random
from typing import Literal

from pydantic import Field

from agents.domains.domain import Domain, Problem
from agents.parts import PartConfig, Parts
from agents.sources.source import Draft, Draw, Levels, SourceState, levels_of
from bus.events import LevelCount

_TRIES = 100
"""So often a problem is drawn that is not in the set yet, before the set stays smaller."""


class UnlabeledConfig(PartConfig):
    """`size` tasks of `levels`, families and levels with equal chances; without `levels`, those
    above the warm-up. A level that has fewer problems gives what it has."""

    type: Literal["unlabeled"] = "unlabeled"
    size: int = Field(default=256, gt=0)
    levels: Levels | None = None

    def build(self, parts: Parts) -> "Unlabeled":
        return Unlabeled(parts.domain, parts.seed, self)


class Unlabeled:
    """Which tasks, and in which order, follows from the run's seed; its state is how many were
    asked."""

    def __init__(self, domain: Domain, seed: int, config: UnlabeledConfig) -> None:
        self._seed = seed
        self._problems = pool(domain, seed, config)
        self._asked = 0
        self._order = lru_cache(maxsize=2)(self._shuffled)

    @property
    def problems(self) -> tuple[Problem, ...]:
        return self._problems

    @property
    def state(self) -> SourceState:
        return SourceState(success={}, top={}, asked=self._asked)

    def restore(self, state: SourceState) -> None:
        self._asked = state.asked

    def fold(self, batch: Sequence[LevelCount]) -> None:
        pass

    async def draw(self, count: int, random: Random, version: int, draw_id: str) -> Draw:
        drafts = []
        for place in range(self._asked, self._asked + count):
            epoch, index = divmod(place, len(self._problems))
            problem = self._problems[self._order(epoch)[index]]
            drafts.append(Draft(problem=problem, source="unlabeled"))
        self._asked += count
        return Draw(drafts=tuple(drafts))

    def _shuffled(self, epoch: int) -> list[int]:
        order = list(range(len(self._problems)))
        Random(f"{self._seed}/unlabeled/{epoch}").shuffle(order)
        return order


def pool(domain: Domain, seed: int, config: UnlabeledConfig) -> tuple[Problem, ...]:
    """The tasks of a run. Raises `ValueError` for levels that the domain does not have."""
    seen = max(domain.warmup_levels, default=0)
    above = [level for level in domain.levels if level > seen]
    levels = levels_of(domain, config.levels or above)
    random = Random(f"{seed}/unlabeled")
    found: dict[tuple[str, str], Problem] = {}
    for _ in range(config.size):
        for _ in range(_TRIES):
            family, level = random.choice(list(domain.families)), random.choice(levels)
            problem = domain.make(family, level, random)
            if (family, problem.prompt) not in found:
                found[family, problem.prompt] = problem
                break
    return tuple(found.values())
