"""A model judges: it reads the question and an answer, and says whether the answer is right.

A language model as a judge (Zheng et al. 2023, arXiv 2306.05685); by the weights that learn, as in
self-rewarding (Yuan et al. 2024, arXiv 2401.10020). What it said stands in the verdict.
"""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field, field_validator, model_validator

from agents.judges.asking import filled, shows_the_answer
from agents.judges.judge import scored
from agents.parts import PartConfig, Parts
from agents.together import together
from bus.events import CURRENT, Attempt, Turn, Verdict

_NAME = "model"


class ModelConfig(PartConfig):
    """The weights of `policy` read `template`, in which {prompt}, {question} and {answer} stand for
    those of the sample, and answer with at most `max_tokens` tokens. A reply that begins with `yes`
    is worth 1, one that begins with `no` 0; any other says nothing."""

    type: Literal["model"] = "model"
    policy: str = CURRENT
    template: str = (
        "{question}\nAnswer: {answer}\nIs this answer right? Reply with yes or no, nothing else."
    )
    yes: str = Field(default="yes", min_length=1)
    no: str = Field(default="no", min_length=1)
    temperature: float = Field(default=0.0, ge=0)
    max_tokens: int = Field(default=8, gt=0)

    _shows_the_answer = field_validator("template")(shows_the_answer)

    @model_validator(mode="after")
    def _tells_yes_from_no(self) -> "ModelConfig":
        yes, no = self.yes.lower(), self.no.lower()
        if yes.startswith(no) or no.startswith(yes):
            raise ValueError(f"yes = {self.yes!r} cannot be told from no = {self.no!r}")
        return self

    @property
    def uses(self) -> tuple[str, ...]:
        return (self.policy,)

    def build(self, parts: Parts) -> "Model":
        return Model(parts, self)


class Model:
    """Every different answer is judged once; the judge's turn is never learned from."""

    def __init__(self, parts: Parts, config: ModelConfig) -> None:
        self._policy = parts.policy(config.policy)
        self._config = config

    async def judge(self, attempt: Attempt) -> tuple[Verdict, ...]:
        answers = list(dict.fromkeys(sample.answer for sample in attempt.samples))
        verdicts = await together(self._judge(attempt, answer) for answer in answers)
        known = dict(zip(answers, verdicts, strict=True))
        return tuple(known[sample.answer] for sample in attempt.samples)

    def again(self, attempt: Attempt, said: Sequence[Verdict]) -> tuple[Verdict, ...]:
        """What the recorded replies say; without one, nothing."""
        unheard = scored(_NAME, 0.0, "no reply", known=False)
        return tuple(self._heard(one.turn) if one.turn else unheard for one in said)

    async def _judge(self, attempt: Attempt, answer: str) -> Verdict:
        [turn] = await self._policy.sample(
            filled(self._config.template, attempt.task, answer),
            max_tokens=self._config.max_tokens,
            temperature=self._config.temperature,
            seat="judge",
            trainable=False,
        )
        return self._heard(turn)

    def _heard(self, turn: Turn) -> Verdict:
        reply = turn.text.strip().lower()
        yes, no = (reply.startswith(word.lower()) for word in (self._config.yes, self._config.no))
        return Verdict(
            scores={_NAME: float(yes)},
            reward=float(yes),
            reason="approved" if yes else "disapproved" if no else "the judge said neither",
            provenance=_NAME,
            turn=turn,
            known=yes or no,
        )
