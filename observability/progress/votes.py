"""What learning by vote is about, in numbers: how often a label is right, how far a group agrees,
how many answers differ. A fold of judgments that knows no role and no screen; right answers are
looked at to measure alone.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from agents.guards.floor import entropy, unique
from agents.guards.guard import judgments_of
from agents.guards.measured import Measured, measure
from agents.judges.vote import VoteConfig
from bus.events import Judgment
from bus.log import Log
from bus.versions import Versions

_VOTE = str(VoteConfig.model_fields["type"].default)


@dataclass(frozen=True, slots=True, kw_only=True)
class Votes:
    """Of `groups` judged groups: the share that got a label, and of those the share whose label is
    the task's answer (None where none got one); the mean share of samples that agree with the most
    common answer, the mean share of different answers, and the entropy of a token in nats."""

    groups: int
    labelled: float
    label_accuracy: float | None
    agreement: float
    unique: float
    entropy: float

    def as_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}

    def __str__(self) -> str:
        right = "" if self.label_accuracy is None else f", {self.label_accuracy:.0%} of them right"
        return (
            f"{self.labelled:.0%} of {self.groups} groups labelled{right}; {self.agreement:.0%} of "
            f"a group agree, {self.unique:.0%} of its answers differ"
        )


def votes(judgments: Iterable[Judgment], behind: str = "") -> Votes | None:
    """Of all judgments together; None of none. Answers are compared by what stands `behind` the
    last occurrence of that text, as the vote compares them."""
    groups: list[Measured] = [measure(judgment, behind) for judgment in judgments]
    if not groups:
        return None
    labelled = [group for group in groups if group.is_labelled]
    return Votes(
        groups=len(groups),
        labelled=len(labelled) / len(groups),
        label_accuracy=fmean(group.is_true for group in labelled) if labelled else None,
        agreement=fmean(group.agreement for group in groups),
        unique=unique(groups),
        entropy=entropy(groups),
    )


def votes_of_newest(log: Log, behind: str = "") -> Votes | None:
    """Of what the newest version consumed, where it was judged by vote; else None."""
    newest = Versions(log).newest()
    if newest is None:
        return None
    voted = (one for one in judgments_of(log, newest) if _VOTE in one.critic)
    return votes(voted, behind)
