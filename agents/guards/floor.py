"""A quantity that must not fall: entropy, different answers, groups that can be learned from."""

from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Literal

from pydantic import Field

from agents.guards.guard import GuardConfig
from agents.guards.measured import Measured
from agents.parts import Parts

Quantity = Literal["entropy", "unique", "learnable"]
"""The mean of -log p over the tokens that were drawn, an estimate of the policy's entropy in nats;
the share of different answers in a group; the share of groups whose rewards differ."""

_WORDS: dict[Quantity, str] = {
    "entropy": "the entropy of a token, in nats,",
    "unique": "the share of different answers in a group",
    "learnable": "the share of groups whose rewards differ",
}


class FloorConfig(GuardConfig):
    """The quantity `of`, as the mean over the window, must be at least `least`."""

    type: Literal["floor"] = "floor"
    of: Quantity = "entropy"
    least: float = Field(default=0.02, gt=0)

    def build(self, parts: Parts) -> "Floor":
        return Floor(self)


class Floor:
    def __init__(self, config: FloorConfig) -> None:
        self._config = config

    def reason(self, groups: Sequence[Measured]) -> str | None:
        value = _MEANS[self._config.of](groups)
        if value >= self._config.least:
            return None
        return f"{_WORDS[self._config.of]} fell to {value:.4f}, the floor is {self._config.least:g}"


def entropy(groups: Sequence[Measured]) -> float:
    return sum(one.surprise for one in groups) / max(sum(one.tokens for one in groups), 1)


def unique(groups: Sequence[Measured]) -> float:
    return fmean(one.unique for one in groups)


def learnable(groups: Sequence[Measured]) -> float:
    return fmean(one.is_learnable for one in groups)


_MEANS: dict[Quantity, Callable[[Sequence[Measured]], float]] = {
    "entropy": entropy,
    "unique": unique,
    "learnable": learnable,
}
