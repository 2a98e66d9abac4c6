"""The facts that `Known` gathers, one small record each. Knows no bus and no screen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from typing import Any

from bus.events import CURRENT, LevelCount, Plugin


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One published version. `seconds` passed since the one before, standstills of the run left
    out; None for the first. `evolved_seconds` are those of all versions up to it; `offset` is its
    place on the topic `weights`; it moved `policy`."""

    number: int
    created_at: datetime
    trained: int
    dropped: int
    metrics: Mapping[str, float]
    batch: Sequence[LevelCount]
    seconds: float | None
    evolved_seconds: float
    offset: int
    policy: str = CURRENT

    def metric(self, name: str) -> float | None:
        """A finite metric of the trainer, None when it is missing."""
        value = self.metrics.get(name)
        return value if value is not None and isfinite(value) else None

    @property
    def tokens_per_second(self) -> float | None:
        """Sampled tokens of the batch over the time since the version before."""
        tokens = self.metric("tokens")
        return tokens / self.seconds if tokens is not None and self.seconds else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A policy that is trained: the version that moved it last, and how many did."""

    version: int
    versions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """The operator started the run, or went on with it."""

    created_at: datetime
    run: str
    seed: int | None
    settings: Mapping[str, Any]
    plugins: Sequence[Plugin] = ()

    @property
    def recipe(self) -> str:
        """The recipe's name, as the settings say it."""
        named = self.settings.get("recipe", self.settings)
        return str(named.get("name", "")) if isinstance(named, Mapping) else str(named)

    @property
    def learns(self) -> bool:
        """Whether its versions are to differ."""
        loss = self.settings.get("loss")
        return not isinstance(loss, Mapping) or loss.get("type") != "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """So many records of `topic` wait for `group`."""

    group: str
    topic: str
    records: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Dead:
    """A record that no role could use, where its letter lies, and why."""

    created_at: datetime
    topic: str
    offset: int
    origin: str
    group: str
    reason: str
