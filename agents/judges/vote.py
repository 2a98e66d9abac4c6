"""Majority vote: the most common answer of the group is the label. Needs no verifier.

Test-time reinforcement learning (Zuo et al. 2025, arXiv 2504.16084), with a threshold below
which a group teaches nothing (Lee et al. 2025, arXiv 2502.01612, section 5).
"""

from collections import Counter
from typing import Literal

from pydantic import Field

from agents.parts import PartConfig, Parts
from bus.events import Attempt, Verdict


class VoteConfig(PartConfig):
    """A label needs at least `threshold` of all samples; answers that did not end have no vote. Of
    an answer only what stands `behind` the last occurrence of that text is voted on, all of it
    where there is none."""

    type: Literal["vote"] = "vote"
    threshold: float = Field(default=0.5, ge=0, le=1)
    behind: str = ""

    def build(self, parts: Parts) -> "Vote":
        return Vote(self)


class Vote:
    """Reward 1 for agreeing with the majority, 0 otherwise; ties go to the first seen. Without a
    majority nothing is known."""

    def __init__(self, config: VoteConfig) -> None:
        self._threshold = config.threshold
        self._behind = config.behind

    async def judge(self, attempt: Attempt) -> tuple[Verdict, ...]:
        votes = Counter(
            voted(sample.answer, self._behind) for sample in attempt.samples if sample.ended
        )
        label, count = votes.most_common(1)[0] if votes else ("", 0)
        agreement = count / len(attempt.samples)
        decided = count > 0 and agreement >= self._threshold
        verdicts = []
        for sample in attempt.samples:
            agrees = decided and sample.ended and voted(sample.answer, self._behind) == label
            if agrees:
                reason = "majority"
            elif not sample.ended:
                reason = "not ended"
            else:
                reason = "minority" if decided else "no majority"
            verdicts.append(
                Verdict(
                    scores={"vote": float(agrees), "agreement": agreement},
                    reward=float(agrees),
                    reason=reason,
                    provenance="vote",
                    known=decided,
                )
            )
        return tuple(verdicts)


def voted(answer: str, behind: str) -> str:
    """What of an answer is voted on: a result, whatever the way to it."""
    return answer.rpartition(behind)[2] if behind else answer
