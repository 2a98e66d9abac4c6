"""Rationalisation: a task that was not solved is asked again with its answer as a hint, and what is
right then is learned as if there had been no hint.

user: PROMPT                        assistant: n answers
none of them right -> user: HINT    assistant: more answers, learned after PROMPT

STaR (Zelikman et al. 2022, arXiv 2203.14465, section 3.3).
"""

from collections.abc import Sequence
from random import Random
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from agents.domains.domain import Domain, Problem, asked, problem_of
from agents.parts import Example, PartConfig, Parts
from agents.samplers.fields import names_in, written
from agents.samplers.sampler import Speak
from bus.events import Sample, Task


class RationaliseConfig(PartConfig):
    """Of a task that no sample solved `samples` more are drawn after `hint`, in which `{prompt}`,
    `{answer}` and whatever the domain's tasks carry as metadata may stand."""

    hints: ClassVar[bool] = True

    type: Literal["rationalise"] = "rationalise"
    hint: str = "{prompt}{answer}#"
    samples: int = Field(default=1, gt=0)

    @field_validator("hint")
    @classmethod
    def _names_fields(cls, hint: str) -> str:
        try:
            names = names_in(hint)
        except ValueError as error:
            raise ValueError(f"the hint cannot be read: {error}") from None
        if not names - {"prompt"}:
            raise ValueError("a hint must tell something of the answer, such as {prompt}{answer}#")
        return hint

    def hinted(self, problem: Problem) -> str:
        """What the model reads with the hint. Raises `NoField`."""
        more = {"prompt": problem.prompt, "answer": problem.answer}
        return written(self.hint, "sampler.hint", problem, more)

    def example(self, problem: Problem, wrong: str, random: Random) -> Example:
        """The right answer behind the hint."""
        return Example(prompt=self.hinted(problem), answer=problem.answer)

    def build(self, parts: Parts) -> "Rationalise":
        return Rationalise(parts.domain, self)


class Rationalise:
    """The domain's verifier says whether a hint is needed; a task of which nobody knows the answer
    gets none."""

    def __init__(self, domain: Domain, config: RationaliseConfig) -> None:
        self._domain = domain
        self._config = config

    async def sample(self, task: Task, n: int, speak: Speak) -> Sequence[Sample]:
        plain = await speak(task.prompt, n)
        samples = [Sample(turns=(turn,)) for turn in plain]
        problem = problem_of(task)
        if not task.answer or any([await self._is_right(problem, each) for each in samples]):
            return samples
        hinted = await speak(self._config.hinted(problem), self._config.samples, seat="hinted")
        learned = {"learned_prompt": plain[0].prompt_tokens}
        return samples + [Sample(turns=(turn.model_copy(update=learned),)) for turn in hinted]

    async def _is_right(self, problem: Problem, sample: Sample) -> bool:
        score = self._domain.score
        return (await asked(self._domain, score, problem, sample.answer, sample.ended)).right
