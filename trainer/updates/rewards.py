"""What a proposal is worth: one function of the share p of samples that solved it, by name, with
what is paid for a text that was not asked. Knows no tensor and no update.

All of them pay for tasks that are solved sometimes, since a group that is all right or all wrong
moves no solver.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import exp
from typing import Literal

ProposerReward = Literal["none", "azr", "azr_code", "tent", "sqlm", "gaussian"]

MALFORMED = frozenset({"not ended", "unparseable", "unknown family"})
"""Reasons of a gate by which a text is no task at all; by all others it is one, but not asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Worth:
    """`of` is the reward of a task that was asked; `refused` that of a well-formed one that was
    not, `malformed` that of a text that is none."""

    of: Callable[[float], float]
    refused: float
    malformed: float

    def of_refusal(self, reason: str) -> float:
        return self.malformed if reason in MALFORMED else self.refused


def _solved_sometimes(share: float) -> bool:
    return 0 < share < 1


def _hard(share: float) -> float:
    return 1 - share if _solved_sometimes(share) else 0.0


def _hard_or_half_lost(share: float) -> float:
    return 1 - share if _solved_sometimes(share) else -0.5


def _tent(share: float) -> float:
    return min(share, 1 - share)


def _sometimes(share: float) -> float:
    return float(_solved_sometimes(share))


def _gaussian(share: float) -> float:
    return exp(-((share * (1 - share) - 0.25) ** 2) / (2 * 0.01))


WORTHS: Mapping[ProposerReward, Worth] = {
    # Absolute Zero (Zhao et al. 2025, arXiv 2505.03335), eq. 4 and 6.
    "azr": Worth(of=_hard, refused=-0.5, malformed=-1.0),
    # Its code: a task that is always or never solved loses as much as one that is not asked.
    "azr_code": Worth(of=_hard_or_half_lost, refused=-0.5, malformed=-1.0),
    # R-Zero (Huang et al. 2025, arXiv 2508.05004); its penalty for repetition is another setting.
    "tent": Worth(of=_tent, refused=-1.0, malformed=-1.0),
    # SQLM: solved sometimes, or not.
    "sqlm": Worth(of=_sometimes, refused=0.0, malformed=0.0),
    # In the shape of SPICE (arXiv 2510.24684), by the variance of a verdict; the width is a choice.
    "gaussian": Worth(of=_gaussian, refused=-0.1, malformed=-0.1),
}
