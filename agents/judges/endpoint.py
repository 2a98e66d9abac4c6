"""A model behind OpenAI's API judges, wherever it is: it reads question and answer, and says a
grade.

A language model as a judge (Zheng et al. 2023, arXiv 2306.05685). What it was asked and what it
said stand in the verdict, so that whoever judges again asks nobody.
"""

import os
import re
from collections.abc import Sequence
from typing import Literal

from pydantic import Field, field_validator

from agents.judges.asking import filled, in_words, shows_the_answer, told_apart
from agents.judges.calls import Endpoint
from agents.judges.judge import scored
from agents.parts import PartConfig, Parts
from agents.together import together
from bus.events import Attempt, Call, Sample, Task, Verdict

_NAME = "endpoint"


class EndpointConfig(PartConfig):
    """The model that is called `model` at `url`, up to `/chat/completions`, reads `template`, in
    which {prompt}, {question} and {answer} stand for those of the sample, and says one of `scale`,
    from the worst to the best, behind the last `behind` of its reply, in at most `max_tokens`
    tokens. The best is worth 1, the worst 0; any other reply says nothing. The key is taken from
    the variable of the environment `key_variable`. A call that fails or takes `timeout_seconds` is
    made again, for `patience_seconds` at most; there are `at_once` of them at a time."""

    type: Literal["endpoint"] = "endpoint"
    url: str
    model: str = Field(min_length=1)
    key_variable: str = ""
    template: str = (
        "{question}\nAnswer: {answer}\n"
        "How good is this answer, from 0 (wrong) to 5 (right)? End with 'Score:' and the number."
    )
    behind: str = "Score:"
    scale: tuple[str, ...] = Field(default=("0", "1", "2", "3", "4", "5"), min_length=2)
    temperature: float = Field(default=0.0, ge=0)
    max_tokens: int = Field(default=512, gt=0)
    timeout_seconds: float = Field(default=60.0, gt=0)
    patience_seconds: float = Field(default=300.0, gt=0)
    at_once: int = Field(default=8, gt=0)

    _shows_the_answer = field_validator("template")(shows_the_answer)
    _told_apart = field_validator("scale")(told_apart)

    @field_validator("url")
    @classmethod
    def _is_a_place(cls, url: str) -> str:
        if not re.match(r"https?://[^/?#\s]+(/[^?#\s]*)?\Z", url):
            raise ValueError("write it as https://HOST/v1")
        return url.rstrip("/").removesuffix("/chat/completions")

    @field_validator("key_variable")
    @classmethod
    def _is_a_name(cls, name: str) -> str:
        if name and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise ValueError("name a variable of the environment, never the key itself")
        return name

    def asked(self, about: Task, answer: str) -> str:
        return filled(self.template, about, answer)

    def grade(self, reply: str) -> float | None:
        """What a reply is worth, None if it says nothing."""
        if self.behind not in reply:
            return None
        said = reply.rpartition(self.behind)[2] if self.behind else reply
        plain = [grade.strip().lower() for grade in self.scale]
        longest_first = "|".join(map(re.escape, sorted(plain, key=len, reverse=True)))
        # A grade of 4 is neither 45 nor 4.5.
        match = re.match(rf"[\s*_`\"'(\[]*({longest_first})(?!\w|[.,]\d)", said.lower())
        return None if match is None else plain.index(match[1]) / (len(plain) - 1)

    def verdict(self, call: Call) -> Verdict:
        grade = self.grade(call.answer)
        if grade is None:
            return scored(_NAME, 0.0, "no grade", known=False, call=call)
        return scored(_NAME, grade, in_words(grade), call=call)

    def endpoint(self) -> Endpoint:
        """Raises `EngineUnusable` where the key or the extra `server` is missing."""
        return Endpoint(
            self.url,
            self.model,
            key_variable=self.key_variable,
            key=os.environ.get(self.key_variable, "") if self.key_variable else "",
            timeout_seconds=self.timeout_seconds,
            patience_seconds=self.patience_seconds,
            at_once=self.at_once,
        )

    def build(self, parts: Parts) -> "EndpointJudge":
        return EndpointJudge(self)


class EndpointJudge:
    """Every different answer is judged once; an answer that did not end is worth 0 unasked."""

    def __init__(self, config: EndpointConfig) -> None:
        self._config = config
        self._endpoint: Endpoint | None = None

    async def judge(self, attempt: Attempt) -> tuple[Verdict, ...]:
        # Who judges again what was recorded needs no endpoint.
        endpoint = self._endpoint = self._endpoint or self._config.endpoint()
        answers = list(dict.fromkeys(one.answer for one in attempt.samples if one.ended))
        async with endpoint.open() as ask:
            calls = await together(
                ask(
                    self._config.asked(attempt.task, answer),
                    temperature=self._config.temperature,
                    max_tokens=self._config.max_tokens,
                )
                for answer in answers
            )
        known = dict(zip(answers, map(self._config.verdict, calls), strict=True))
        return tuple(self._of(sample, known.get(sample.answer)) for sample in attempt.samples)

    def again(self, attempt: Attempt, said: Sequence[Verdict]) -> tuple[Verdict, ...]:
        """What the calls that were recorded say; of a sample without one that was asked about, or
        with one about something else, nothing."""
        found = []
        for sample, verdict in zip(attempt.samples, said, strict=True):
            call = verdict.call
            fits = call and call.asked == self._config.asked(attempt.task, sample.answer)
            found.append(self._of(sample, self._config.verdict(call) if call and fits else None))
        return tuple(found)

    def _of(self, sample: Sample, verdict: Verdict | None) -> Verdict:
        if not sample.ended:
            return scored(_NAME, 0.0, "not ended")
        return verdict or scored(_NAME, 0.0, "no call", known=False)
