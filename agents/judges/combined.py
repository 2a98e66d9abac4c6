"""Several judges whose verdicts are made one, by a rule with a name."""

from collections.abc import Callable, Sequence
from math import fsum, prod
from operator import mul
from statistics import fmean
from typing import Literal

from agents.judges.judge import Judge
from agents.together import together
from bus.events import Attempt, Verdict

Rule = Literal["sum", "product", "first"]
"""The sum of the rewards, each with its weight; their product; or what the first judge that knows
says."""


class Combined:
    """`judges` by their types, in their order; `weights` are those of "sum", none for equal shares
    of 1."""

    def __init__(
        self, judges: Sequence[tuple[str, Judge]], rule: Rule, weights: Sequence[float] = ()
    ) -> None:
        self._judges = judges
        self._weights = weights
        combine: dict[Rule, Callable[[Sequence[Verdict]], float]] = {
            "sum": self._sum,
            "product": lambda verdicts: prod(verdict.reward for verdict in verdicts),
            "first": lambda verdicts: _first(verdicts).reward,
        }
        self._combine = combine[rule]
        self._rule = rule

    @property
    def name(self) -> str:
        """The rule, and of which judges: `product(exact,vote)`."""
        return f"{self._rule}({','.join(name for name, _ in self._judges)})"

    async def judge(self, attempt: Attempt) -> tuple[Verdict, ...]:
        said = await together(judge.judge(attempt) for _, judge in self._judges)
        return tuple(self.one(verdicts) for verdicts in zip(*said, strict=True))

    def one(self, verdicts: tuple[Verdict, ...]) -> Verdict:
        """What the rule makes of the verdicts on one sample. Scores of the same name are told apart
        by their judge."""
        names = [name for verdict in verdicts for name in verdict.scores]
        speaks = _first(verdicts) if self._rule == "first" else min(verdicts, key=_reward)
        return Verdict(
            scores={
                name if names.count(name) == 1 else f"{verdict.provenance}/{name}": score
                for verdict in verdicts
                for name, score in verdict.scores.items()
            },
            reward=self._combine(verdicts),
            reason=speaks.reason,
            provenance=self.name,
            known=any(verdict.known for verdict in verdicts),
            combined=verdicts,
            seats={seat: self._of_seat(seat, verdicts) for seat in _seats(verdicts)},
        )

    def _of_seat(self, seat: str, verdicts: Sequence[Verdict]) -> float:
        """By the same rule; who says nothing of a seat means all of them."""
        return self._combine(
            [
                verdict.model_copy(update={"reward": verdict.seats.get(seat, verdict.reward)})
                for verdict in verdicts
            ]
        )

    def _sum(self, verdicts: Sequence[Verdict]) -> float:
        rewards = [verdict.reward for verdict in verdicts]
        if not self._weights:
            return fmean(rewards)
        return fsum(map(mul, rewards, self._weights))


def _first(verdicts: Sequence[Verdict]) -> Verdict:
    """Of the first judge that knows; if none does, of the last one."""
    return next((verdict for verdict in verdicts if verdict.known), verdicts[-1])


def _reward(verdict: Verdict) -> float:
    return verdict.reward


def _seats(verdicts: Sequence[Verdict]) -> dict[str, None]:
    return dict.fromkeys(seat for verdict in verdicts for seat in verdict.seats)
