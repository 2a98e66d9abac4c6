"""The collapse of learning by vote: the same answer, whatever is asked.

Self-rewarded training improves and then collapses at once to a constant answer on which all samples
agree (Shafayat et al. 2025, arXiv 2505.21444).
"""

from collections import Counter
from collections.abc import Sequence
from statistics import fmean
from typing import Literal

from pydantic import Field

from agents.guards.guard import GuardConfig
from agents.guards.measured import Measured
from agents.parts import Parts

_SHOWN = 40


class MajorityConfig(GuardConfig):
    """Of different tasks at most the share `same` may have the same most common answer, and the
    mean share of samples that agree may be at most `agreement` (1: as high as it likes)."""

    type: Literal["majority"] = "majority"
    same: float = Field(default=0.5, gt=0, le=1)
    agreement: float = Field(default=1.0, gt=0, le=1)

    def build(self, parts: Parts) -> "Majority":
        return Majority(self)


class Majority:
    def __init__(self, config: MajorityConfig) -> None:
        self._config = config

    def reason(self, groups: Sequence[Measured]) -> str | None:
        # A task that was asked twice counts once, with its newer answer.
        labels = {group.prompt: group.label for group in reversed(groups)}
        label, count = Counter(labels.values()).most_common(1)[0]
        share = count / len(labels)
        if share > self._config.same and len(labels) > 1:
            return (
                f"the vote has collapsed: {label[:_SHOWN]!r} is the most common answer to "
                f"{share:.0%} of {len(labels)} different tasks, {self._config.same:.0%} are allowed"
            )
        agreement = fmean(group.agreement for group in groups)
        if agreement > self._config.agreement:
            return (
                f"the vote has closed: {agreement:.1%} of the samples of a group agree, "
                f"{self._config.agreement:.1%} are allowed"
            )
        return None
