"""A policy chooses: of every two different answers it says which is better, in both orders, and the
share of its choices that an answer wins counts.

A pairwise judge whose order is swapped, against a liking for one place (Zheng et al. 2023, arXiv
2306.05685). Every choice stands in the verdict of the answer that was read first.
"""

from collections.abc import Sequence
from itertools import permutations
from random import Random
from statistics import fmean
from typing import Literal

from pydantic import Field, field_validator, model_validator

from agents.domains.domain import Problem
from agents.judges.asking import filled
from agents.judges.judge import scored
from agents.parts import Example, PartConfig, Parts
from agents.together import together
from bus.events import CURRENT, Attempt, Task, Turn, Verdict

_NAME = "choice"

_LIKE_AN_LLM = (
    "{question}\nAnswer A: {answer}\nAnswer B: {other}\n"
    "Which answer is better? Reply with A or B, nothing else."
)


class ChoiceConfig(PartConfig):
    """The weights of `policy` read `template`, in which {answer} and {other} are the two answers,
    {prompt} and {question} those of the task, and reply with `first` or `second` in at most
    `max_tokens` tokens; any other reply chooses neither."""

    type: Literal["choice"] = "choice"
    policy: str = CURRENT
    template: str = _LIKE_AN_LLM
    first: str = Field(default="A", min_length=1)
    second: str = Field(default="B", min_length=1)
    temperature: float = Field(default=0.0, ge=0)
    max_tokens: int = Field(default=8, gt=0)

    @field_validator("template")
    @classmethod
    def _shows_both(cls, template: str) -> str:
        if "{answer}" not in template or "{other}" not in template:
            raise ValueError("the template must show the {answer} and the {other}")
        return template

    @model_validator(mode="after")
    def _tells_first_from_second(self) -> "ChoiceConfig":
        first, second = self.first.lower(), self.second.lower()
        if first.startswith(second) or second.startswith(first):
            raise ValueError(f"first = {self.first!r} cannot be told from second = {self.second!r}")
        return self

    @property
    def uses(self) -> tuple[str, ...]:
        return (self.policy,)

    def example(self, problem: Problem, wrong: str, random: Random) -> Example:
        """The right answer against the wrong one, in either order."""
        if random.random() < 0.5:
            return Example(prompt=self.asked(problem, problem.answer, wrong), answer=self.first)
        return Example(prompt=self.asked(problem, wrong, problem.answer), answer=self.second)

    def asked(self, about: Task | Problem, answer: str, other: str) -> str:
        return filled(self.template, about, answer, other)

    def chosen(self, reply: str) -> float | None:
        """1 for the first, 0 for the second, None for neither."""
        said = reply.strip().lower()
        if said.startswith(self.first.lower()):
            return 1.0
        return 0.0 if said.startswith(self.second.lower()) else None

    def build(self, parts: Parts) -> "Choice":
        return Choice(parts, self)


class Choice:
    """An answer that did not end is worth 0 unasked; of one beside which there is no other nothing
    is known. What is said to judge is never learned from."""

    def __init__(self, parts: Parts, config: ChoiceConfig) -> None:
        self._policy = parts.policy(config.policy)
        self._config = config

    async def judge(self, attempt: Attempt) -> tuple[Verdict, ...]:
        answers = list(dict.fromkeys(one.answer for one in attempt.samples if one.ended))
        pairs = list(permutations(answers, 2))
        turns = await together(self._asked(attempt, *pair) for pair in pairs)
        return self._told(attempt, answers, dict(zip(pairs, turns, strict=True)))

    def again(self, attempt: Attempt, said: Sequence[Verdict]) -> tuple[Verdict, ...]:
        """What the recorded choices say; of an answer without them, nothing."""
        heard = {
            sample.answer: [one.turn for one in verdict.combined if one.turn is not None]
            for sample, verdict in zip(attempt.samples, said, strict=True)
            if sample.ended
        }
        turns = {
            (answer, other): turn
            for answer, replies in heard.items()
            for other, turn in zip((one for one in heard if one != answer), replies, strict=False)
        }
        return self._told(attempt, list(heard), turns)

    def _told(
        self, attempt: Attempt, answers: Sequence[str], said: dict[tuple[str, str], Turn]
    ) -> tuple[Verdict, ...]:
        verdicts = {answer: self._verdict(answer, said) for answer in answers}
        cut_off = scored(_NAME, 0.0, "not ended")
        return tuple(verdicts[one.answer] if one.ended else cut_off for one in attempt.samples)

    async def _asked(self, attempt: Attempt, answer: str, other: str) -> Turn:
        [turn] = await self._policy.sample(
            self._config.asked(attempt.task, answer, other),
            max_tokens=self._config.max_tokens,
            temperature=self._config.temperature,
            seat="judge",
            trainable=False,
        )
        return turn

    def _verdict(self, answer: str, said: dict[tuple[str, str], Turn]) -> Verdict:
        if not said:
            return scored(_NAME, 0.0, "the only answer", known=False)
        won: list[float] = []
        heard: list[Verdict] = []
        for (first, second), turn in said.items():
            choice = self._config.chosen(turn.text)
            if answer == first:
                why = "chosen" if choice else "passed over" if choice == 0 else "no choice"
                heard.append(scored(_NAME, choice or 0.0, why, turn, known=choice is not None))
            if choice is not None and answer in (first, second):
                won.append(choice if answer == first else 1 - choice)
        if not won:
            return scored(_NAME, 0.0, "no choice", known=False, combined=heard)
        return scored(_NAME, fmean(won), "share of choices", combined=heard)
