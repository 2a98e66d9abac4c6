"""How a group is judged: the `Judge` protocol. A judge knows one attempt and nothing else."""

from typing import Protocol

from bus.events import Attempt, Verdict


class Judge(Protocol):
    async def judge(self, attempt: Attempt) -> tuple[Verdict, ...]:
        """One verdict per sample, in the same order, each with the judge's type as its
        `provenance`. A bad answer is data, never an error."""
        ...
