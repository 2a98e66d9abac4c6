"""How a group is judged: the `Judge` protocol. A judge knows one attempt and nothing else."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from bus.events import Attempt, Call, Turn, Verdict


class Judge(Protocol):
    async def judge(self, attempt: Attempt) -> tuple[Verdict, ...]:
        """One verdict per sample, in the same order, each with the judge's type as its
        `provenance`. A bad answer is data, never an error."""
        ...


@runtime_checkable
class Records(Protocol):
    """A judge that leaves on the log all that it judges by."""

    def again(self, attempt: Attempt, said: Sequence[Verdict]) -> tuple[Verdict, ...]:
        """What it says of the attempt by what it has left in the verdicts `said`; asks nobody."""
        ...


def scored(
    judge: str,
    reward: float,
    reason: str,
    turn: Turn | None = None,
    *,
    known: bool = True,
    call: Call | None = None,
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
        call=call,
        combined=tuple(combined),
    )
