"""The domain's own verifier: right or wrong, with its reason."""

from typing import Literal

from pydantic import Field

from agents.domains.domain import Domain, Score, asked, problem_of
from agents.parts import PartConfig, Parts
from bus.events import Attempt, Verdict

_MALFORMED = frozenset({"not ended", "empty", "unreadable", "no number"})
"""Reasons of verifiers by which an answer has not the form of one."""


class ExactConfig(PartConfig):
    """The domain's verifier judges. What is not right is worth `wrong`, and `malformed` if it has
    not even the form of an answer."""

    type: Literal["exact"] = "exact"
    wrong: float = Field(default=0.0, lt=1)
    malformed: float = Field(default=0.0, lt=1)

    def build(self, parts: Parts) -> "Exact":
        return Exact(parts.domain, self)


class Exact:
    """Reward 1 for the verifier's full score; partial credit stands in `scores`."""

    def __init__(self, domain: Domain, config: ExactConfig | None = None) -> None:
        self._domain = domain
        self._config = config or ExactConfig()

    async def judge(self, attempt: Attempt) -> tuple[Verdict, ...]:
        problem = problem_of(attempt.task)
        known: dict[tuple[str, bool], Verdict] = {}
        for sample in attempt.samples:
            answer = (sample.answer, sample.ended)
            if answer not in known:
                score = await asked(self._domain, self._domain.score, problem, *answer)
                known[answer] = Verdict(
                    scores={"exact": score.value},
                    reward=self._reward(score),
                    reason=score.reason,
                    provenance="exact",
                )
        return tuple(known[sample.answer, sample.ended] for sample in attempt.samples)

    def _reward(self, score: Score) -> float:
        if score.right:
            return 1.0
        return self._config.malformed if score.reason in _MALFORMED else self._config.wrong
