"""The domain's own verifier: right or wrong, with its reason."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from agents.domains.domain import Domain, Problem
from bus.events import Attempt, Task, Verdict


class ExactConfig(BaseModel):
    """The domain's verifier judges."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["exact"] = "exact"

    def build(self, domain: Domain, seed: int) -> "Exact":
        return Exact(domain)


class Exact:
    """Reward 1 for the verifier's full score, else 0; partial credit stands in `scores`."""

    def __init__(self, domain: Domain) -> None:
        self._domain = domain

    def judge(self, attempt: Attempt) -> tuple[Verdict, ...]:
        problem = problem_of(attempt.task)
        known: dict[tuple[str, bool], Verdict] = {}
        for sample in attempt.samples:
            answer = (sample.answer, sample.ended)
            if answer not in known:
                score = self._domain.score(problem, *answer)
                known[answer] = Verdict(
                    scores={"exact": score.value},
                    reward=float(score.value >= 1.0),
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
