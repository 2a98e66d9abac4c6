"""A policy scores: it reads an answer, says a grade on a scale, several times, and the mean counts.

The additive score of self-rewarding, the mean of three (Yuan et al. 2024, arXiv 2401.10020), by the
weights that learn or by any others. Every grade stands in the verdict with its turn.
"""

from collections.abc import Sequence
from random import Random
from statistics import fmean
from typing import Literal

from pydantic import Field, field_validator

from agents.domains.domain import Problem
from agents.domains.wrong import goes_along, right_until
from agents.judges.asking import filled, in_words, shows_the_answer, told_apart
from agents.judges.judge import scored
from agents.parts import Example, PartConfig, Parts
from agents.together import together
from bus.events import CURRENT, Attempt, Turn, Verdict

_NAME = "policy"

_LIKE_AN_LLM = (
    "{question}\nAnswer: {answer}\n"
    "How good is this answer, from 0 (wrong) to 5 (right)? Reply with the number, nothing else."
)


class PolicyJudgeConfig(PartConfig):
    """The weights of `policy` read `template`, in which {prompt}, {question} and {answer} stand for
    those of the sample, `judgments` times, and say one of `scale`, from the worst to the best, in
    at most `max_tokens` tokens. The best is worth 1, the worst 0, and a reply that begins with none
    of them says nothing. With a `rationale` it is the end of a reply that counts; before it stands
    the answer as far as it is right, and where something else stands nothing was said."""

    type: Literal["policy"] = "policy"
    policy: str = CURRENT
    template: str = _LIKE_AN_LLM
    scale: tuple[str, ...] = Field(default=("0", "1", "2", "3", "4", "5"), min_length=2)
    rationale: bool = False
    judgments: int = Field(default=3, gt=0)
    temperature: float = Field(default=1.0, ge=0)
    max_tokens: int = Field(default=8, gt=0)

    _shows_the_answer = field_validator("template")(shows_the_answer)
    _told_apart = field_validator("scale")(told_apart)

    @property
    def uses(self) -> tuple[str, ...]:
        return (self.policy,)

    def example(self, problem: Problem, wrong: str, random: Random) -> Example:
        """Half of the answers are right and get the best grade; a wrong one gets as much of what is
        below it as its characters agree with the right one's."""
        best = len(self.scale) - 1
        right = random.random() < 0.5
        grade = best if right else min(int(best * _alike(problem.answer, wrong)), best - 1)
        answer = problem.answer if right else wrong
        before = right_until(problem.answer, answer) if self.rationale else ""
        return Example(
            prompt=filled(self.template, problem, answer), answer=before + self.scale[grade]
        )

    def grade(self, reply: str, answer: str) -> float | None:
        """What a reply about an answer is worth, None if it says nothing. A rationale that is not
        about this answer says nothing, nor does one that finds the best without all of it."""
        said = reply.strip().lower()
        stands = said.endswith if self.rationale else said.startswith
        plain = {grade.strip().lower(): place for place, grade in enumerate(self.scale)}
        found = max((grade for grade in plain if stands(grade)), key=len, default=None)
        if found is None:
            return None
        place, best = plain[found], len(self.scale) - 1
        if self.rationale and not goes_along(said.removesuffix(found), answer, whole=place == best):
            return None
        return place / best

    def build(self, parts: Parts) -> "PolicyJudge":
        return PolicyJudge(parts, self)


class PolicyJudge:
    """Every different answer is judged once; an answer that did not end is worth 0 unasked. What
    the judge says is never learned from."""

    def __init__(self, parts: Parts, config: PolicyJudgeConfig) -> None:
        self._policy = parts.policy(config.policy)
        self._config = config

    async def judge(self, attempt: Attempt) -> tuple[Verdict, ...]:
        answers = list(dict.fromkeys(one.answer for one in attempt.samples if one.ended))
        verdicts = await together(self._judged(attempt, answer) for answer in answers)
        known = dict(zip(answers, verdicts, strict=True))
        cut_off = scored(_NAME, 0.0, "not ended")
        return tuple(known[one.answer] if one.ended else cut_off for one in attempt.samples)

    def again(self, attempt: Attempt, said: Sequence[Verdict]) -> tuple[Verdict, ...]:
        """What the recorded replies say; without one, nothing."""
        found = []
        for sample, verdict in zip(attempt.samples, said, strict=True):
            turns = [one.turn for one in verdict.combined or (verdict,) if one.turn is not None]
            heard = [self._one(turn, sample.answer) for turn in turns]
            found.append(self._mean(heard) if sample.ended else scored(_NAME, 0.0, "not ended"))
        return tuple(found)

    async def _judged(self, attempt: Attempt, answer: str) -> Verdict:
        turns = await self._policy.sample(
            filled(self._config.template, attempt.task, answer),
            self._config.judgments,
            max_tokens=self._config.max_tokens,
            temperature=self._config.temperature,
            seat="judge",
            trainable=False,
        )
        return self._mean([self._one(turn, answer) for turn in turns])

    def _one(self, turn: Turn, answer: str) -> Verdict:
        grade = self._config.grade(turn.text, answer)
        if grade is None:
            return scored(_NAME, 0.0, "no grade", turn, known=False)
        return scored(_NAME, grade, in_words(grade), turn)

    def _mean(self, said: Sequence[Verdict]) -> Verdict:
        """Of the grades that say something."""
        if len(said) == 1:
            return said[0]
        grades = [one.reward for one in said if one.known]
        if not grades:
            return scored(_NAME, 0.0, "no grade", known=False, combined=tuple(said))
        return scored(_NAME, mean := fmean(grades), in_words(mean), combined=tuple(said))


def _alike(one: str, other: str) -> float:
    """The share of places where two texts agree."""
    longest = max(len(one), len(other))
    return sum(a == b for a, b in zip(one, other, strict=False)) / longest if longest else 1.0
