"""Labels that do not stay: a task that is asked again gets another answer from the same vote.

Where a vote sharpens what the model already says, the labels of a task remain; where it rewards
noise, they wander while agreement rises. No right answer is needed to see that, and a collapse to
answers that differ from task to task, which `majority` cannot see, shows in it.
"""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from agents.guards.guard import GuardConfig
from agents.guards.measured import Measured
from agents.parts import Parts


class DriftConfig(GuardConfig):
    """Of the tasks that stand in the window more than once at most the share `changed` may have
    another most common answer the last time than the first; below `least` such tasks nothing is
    said."""

    type: Literal["drift"] = "drift"
    changed: float = Field(default=0.5, gt=0, lt=1)
    least: int = Field(default=32, gt=0)

    def build(self, parts: Parts) -> "Drift":
        return Drift(self)


class Drift:
    def __init__(self, config: DriftConfig) -> None:
        self._config = config

    def reason(self, groups: Sequence[Measured]) -> str | None:
        labels: dict[str, list[str]] = {}
        for group in groups:
            labels.setdefault(group.prompt, []).append(group.label)
        again = [of_task for of_task in labels.values() if len(of_task) > 1]
        if len(again) < self._config.least:
            return None
        share = sum(of_task[0] != of_task[-1] for of_task in again) / len(again)
        if share <= self._config.changed:
            return None
        return (
            f"labels drift: of {len(again)} tasks that were asked again {share:.0%} have another "
            f"most common answer than before, {self._config.changed:.0%} are allowed"
        )
