"""The domain's own verifier: right or wrong, with its reason."""

from typing import Literal

from agents.domains.domain import Domain, Problem
from agents.parts import PartConfig, Parts
from bus.events import Attempt, Task, Verdict


class ExactConfig(PartConfig):
    """The domain's verifier judges."""

    type: Literal["exact"] = "exact"

    def build(self, parts: Parts) -> "Exact":
        return Exact(parts.domain)


class Exact:
    """Reward 1 for the verifier's full score, else 0; partial credit stands in `scores`."""

    def __init__(self, domain: Domain) -> None:
        self._domain = domain

    async def judge(self, attempt: Attempt) -> tuple[Verdict, ...]:
        problem = problem_of(attempt.task)
        known: dict[tuple[str, bool], Verdict] = {}
        for sample in attempt.samples:
            answer = (sample.answer, sample.ended)
            if answer not in known:
                score = self._domain.score(problem, *answer)
                known[answer] = Verdict(
                    scores={"exact": score.value},
                    reward=float(score.right),
                    reason=score.reason,
                    provenance="exact",
                )
        return tuple(known[sample.answer, sample.ended] for sample in attempt.samples)


def problem_of(task: Task) -> Problem:
    """The problem that a task event carries."""
    return Problem(
        family=task.family,
        level=task.level,
        prompt=task.prompt,
        question=task.question,
        answer=task.answer,
        metadata=task.metadata,
    )
