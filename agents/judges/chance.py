"""Coin flips: the control that shows what learning owes to the verdicts."""

from random import Random
from typing import Literal

from pydantic import Field

from agents.parts import PartConfig, Parts
from bus.events import Attempt, Verdict


class ChanceConfig(PartConfig):
    """Every sample is right with probability `rate`, whatever it says."""

    type: Literal["chance"] = "chance"
    rate: float = Field(default=0.5, ge=0, le=1)

    def build(self, parts: Parts) -> "Chance":
        return Chance(self, parts.seed)


class Chance:
    """Reward 1 or 0 by a coin that depends on the seed and the attempt's id alone."""

    def __init__(self, config: ChanceConfig, seed: int) -> None:
        self._rate = config.rate
        self._seed = seed

    async def judge(self, attempt: Attempt) -> tuple[Verdict, ...]:
        random = Random(f"{self._seed}/{attempt.id}")
        rewards = [float(random.random() < self._rate) for _ in attempt.samples]
        return tuple(
            Verdict(scores={"chance": reward}, reward=reward, reason="chance", provenance="chance")
            for reward in rewards
        )
