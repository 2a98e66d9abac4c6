"""How a group is judged: the `Judge` protocol. A judge knows one attempt and nothing else."""

from collections.abc import Sequence
from typing import Protocol

from bus.events import Attempt, Turn, Verdict


class Judge(Protocol):
    async def judge(self, attempt: Attempt) -> tuple[Verdict, ...]:
        """One verdict per sample, in the same order, each with the judge's type as its
        `provenance`. A bad answer is data, never an error."""
        ...


def scored(
    judge: str,
    reward: float,
    reason: str,
    turn: Turn | None = None,
    *,
    known: bool = True,
    combined: Sequence[Verdict] = (),
) -> Verdict:
    """A verdict whose one score is its reward, under the judge's name."""
    return Verdict(
        scores={judge: reward},
        reward=reward,
        reason=reason,
        provenance=judge,
        known=known,
        turn=turn,
        combined=tuple(combined),
    )
