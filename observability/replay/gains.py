"""The advantages of what is learned from, by two sets of verdicts. Knows no log and no judge."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from bus.events import Judgment
from trainer.updates.advantage import Baseline, advantages, against_running_means

_TINY = 1e-9
RUNNING = "role_ema"


@dataclass(slots=True, kw_only=True)
class Gains:
    """Of so many `turns` so many have another advantage, and so many one `of_other_sign`; what is
    not learned from has none. `baseline` and `decay` are those of the update, as `GrpoConfig` has
    them, "group" of an update that has none."""

    baseline: str = "group"
    decay: float = 0.95
    turns: int = 0
    differ: int = 0
    of_other_sign: int = 0
    _change: float = 0.0
    _means: tuple[dict[str, float], dict[str, float]] = field(default_factory=lambda: ({}, {}))

    def add(self, was: Sequence[Judgment], now: Sequence[Judgment]) -> None:
        """Of one version; both have the turns of the same attempts."""
        before, after = (
            self._of(judgments, means)
            for judgments, means in zip((was, now), self._means, strict=True)
        )
        for turn in before.keys() | after.keys():
            one, other = before.get(turn, 0.0), after.get(turn, 0.0)
            self.differ += abs(one - other) > _TINY
            self.of_other_sign += one * other < 0
            self._change += abs(one - other)
        self.turns += len({id(turn) for each in (*was, *now) for turn in _turns(each)})

    def _of(self, judgments: Sequence[Judgment], means: dict[str, float]) -> dict[int, float]:
        """By the identity of the turn."""
        if self.baseline == RUNNING:
            given = against_running_means(judgments, means, self.decay)
        else:
            given = advantages(judgments, cast(Baseline, self.baseline))
        return {id(turn): advantage for _, turn, advantage in given}

    def as_json(self) -> dict[str, Any]:
        return {
            "baseline": self.baseline,
            "turns": self.turns,
            "differ": self.differ,
            "of_other_sign": self.of_other_sign,
            "mean_change": self._change / (self.turns or 1),
        }


def _turns(judgment: Judgment) -> list[Any]:
    return [turn for sample in judgment.attempt.samples for turn in sample.trainable]
