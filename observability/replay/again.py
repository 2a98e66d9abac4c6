"""Recorded attempts through judges: anew, or by what a judge has left in its verdicts. Knows no
recipe and no log.
"""

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agents.critic import proper
from agents.judges.judge import Judge, Records
from agents.together import together
from bus.events import Attempt, Judgment, Verdict
from bus.runner import Rejected
from bus.tracing.processing import replaying


async def ask_again(judge: Judge, attempt: Attempt, said: Sequence[Verdict]) -> tuple[Verdict, ...]:
    """What a judge says of an attempt. One that leaves on the log all that it judges by asks
    nobody: it has it in the verdicts `said`."""
    if isinstance(judge, Records):
        return judge.again(attempt, said)
    return await judge.judge(attempt)


def is_same(one: Verdict, other: Verdict) -> bool:
    """Whether two verdicts teach the same, whatever reason they give."""
    return (
        _alike(one.reward, other.reward)
        and one.known == other.known
        and one.seats.keys() == other.seats.keys()
        and all(_alike(one.seats[seat], other.seats[seat]) for seat in one.seats)
    )


def _alike(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A judge by its type; `recorded`: what it was told stands in the verdicts on the log."""

    type: str
    judge: Judge
    recorded: bool


class Again:
    """Judges attempts once more, at most `at_once` at a time; `combine` makes one verdict of those
    of several judges, `name` is what they are called on the log."""

    def __init__(
        self,
        judges: Sequence[Asked],
        name: str,
        combine: Callable[[tuple[Verdict, ...]], Verdict] | None,
        at_once: int,
    ) -> None:
        self._judges = judges
        self.name = name
        self._combine = combine
        self._free = asyncio.Semaphore(at_once)

    async def judge(self, judgments: Sequence[Judgment]) -> list[tuple[Verdict, ...] | str]:
        """Of each judgment the verdicts there would be, or why a critic would reject the attempt.
        Raises what a judge raises."""
        return await together(map(self._of, judgments))

    async def _of(self, judgment: Judgment) -> tuple[Verdict, ...] | str:
        attempt = judgment.attempt
        try:
            async with self._free:
                with replaying(judgment, "rejudge"):
                    said = [await self._asked(one, judgment) for one in self._judges]
            if self._combine is None:
                return proper(said[0], attempt, self.name)
            combined = tuple(map(self._combine, zip(*said, strict=True)))
            return proper(combined, attempt, self.name)
        except Rejected as rejected:
            return str(rejected)

    async def _asked(self, one: Asked, judgment: Judgment) -> tuple[Verdict, ...]:
        if one.recorded:
            said = [_by(one.type, verdict) for verdict in judgment.verdicts]
            return await ask_again(one.judge, judgment.attempt, said)
        return await one.judge.judge(judgment.attempt)


def _by(type: str, verdict: Verdict) -> Verdict:
    """What a judge of this type said, where several were asked."""
    if verdict.provenance == type:
        return verdict
    return next((one for one in verdict.combined if one.provenance == type), verdict)
