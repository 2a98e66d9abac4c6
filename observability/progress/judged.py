"""How well a judge judges: its verdicts against those of a verifier. A fold of judgments that knows
no role, no domain and no screen; right answers are looked at to measure alone."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from agents.guards.guard import judgments_of
from bus.events import Judgment, Sample, Task
from bus.log import Log
from bus.versions import Versions

IsRight = Callable[[Task, Sample], bool]

_HALF = 0.5
"""A reward of at least so much says that an answer is right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Of `verdicts` that said something the share that agrees with the verifier; of the answers
    that are right the share that was approved, of the wrong ones the share that was not, None where
    there were none."""

    verdicts: int
    accuracy: float
    right_approved: float | None
    wrong_refused: float | None

    def as_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}

    def __str__(self) -> str:
        said = f"{self.accuracy:.0%} of {self.verdicts:,} verdicts are true"
        if self.right_approved is not None:
            said += f", {self.right_approved:.0%} of right answers approved"
        if self.wrong_refused is not None:
            said += f", {self.wrong_refused:.0%} of wrong ones refused"
        return said


def judged(judgments: Iterable[Judgment], is_right: IsRight) -> Judged | None:
    """Of all judgments together; None where no verdict says anything."""
    right: list[bool] = []
    wrong: list[bool] = []
    for judgment in judgments:
        task = judgment.attempt.task
        for sample, verdict in zip(judgment.attempt.samples, judgment.verdicts, strict=True):
            if verdict.known:
                approved = verdict.reward >= _HALF
                (right if is_right(task, sample) else wrong).append(approved)
    if not right and not wrong:
        return None
    true = sum(right) + len(wrong) - sum(wrong)
    return Judged(
        verdicts=len(right) + len(wrong),
        accuracy=true / (len(right) + len(wrong)),
        right_approved=sum(right) / len(right) if right else None,
        wrong_refused=1 - sum(wrong) / len(wrong) if wrong else None,
    )


def judged_of_newest(log: Log, is_right: IsRight | None) -> Judged | None:
    """Of what the newest version consumed; None without a verifier to compare with."""
    newest = None if is_right is None else Versions(log).newest()
    if newest is None or is_right is None:
        return None
    return judged(judgments_of(log, newest), is_right)
