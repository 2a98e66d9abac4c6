"""Try, and where that was not right say what there is to learn of it; whoever tries again reads
that. No weights change.

user: LESSONS, PROMPT   assistant: a try      wrong -> user: REFLECT   assistant: a lesson
user: LESSONS and this one, PROMPT   assistant: the next try

Reflexion (Shinn et al. 2023, arXiv 2303.11366), with a memory that later tasks share: lessons are
events, and what is read is a fold of them. The domain's verifier is the environment.
"""

import asyncio
import re
from collections.abc import Sequence
from random import Random
from typing import Literal

from pydantic import Field, field_validator, model_validator

from agents.domains.domain import Problem, asked, problem_of
from agents.parts import Example, PartConfig, Parts
from agents.samplers.fields import names_in, written
from agents.samplers.memory import Memory, Recalled, forgotten, last
from agents.samplers.sampler import Drawn, Learned, Speak
from agents.together import together
from bus.events import CURRENT, TRY, Sample, Task, Turn

_FIELD = re.compile(r"\{(prompt|answer|lessons)\}")


class LessonsConfig(PartConfig):
    """A task is tried up to `tries` times. After each try that is not right the weights of `policy`
    read `reflect`, in which {prompt} and {answer} stand, and say a lesson in at most `max_tokens`
    tokens. Whoever tries reads the last `keep` lessons of at most `max_characters`, joined by
    `between`, as `retry` has {lessons} and {prompt}; where there are none, the plain prompt. What a
    lesson is about is written in `about`, with the metadata of the task, its {family} and {level}:
    it is read again by tries that are about the same ("own"), or, as controls, by all others alone
    ("others") or by none. The last `capacity` lessons of the run are remembered."""

    type: Literal["lessons"] = "lessons"
    tries: int = Field(default=3, gt=0, le=8)
    keep: int = Field(default=3, gt=0)
    about: str = "{family}"
    reads: Literal["own", "others", "none"] = "own"
    policy: str = CURRENT
    reflect: str = (
        "{prompt}\nAnswer: {answer}\nThis is wrong. Say in one sentence what to do otherwise."
    )
    retry: str = "Learned from earlier tries:\n{lessons}\n\n{prompt}"
    between: str = "\n"
    temperature: float = Field(default=0.0, ge=0)
    max_tokens: int = Field(default=64, gt=0)
    max_characters: int = Field(default=2000, gt=0)
    capacity: int = Field(default=10_000, gt=0)

    @field_validator("about")
    @classmethod
    def _names_fields(cls, about: str) -> str:
        if names_in(about) & {"prompt", "answer"}:
            raise ValueError("what a lesson is about must be known of a task without its answer")
        return about

    @model_validator(mode="after")
    def _shows_what_it_is_for(self) -> "LessonsConfig":
        for place, text, names in (
            ("reflect", self.reflect, ("{answer}",)),
            ("retry", self.retry, ("{lessons}", "{prompt}")),
        ):
            for name in names:
                if name not in text:
                    raise ValueError(f"{place} = {text!r} must show the {name}")
        return self

    @property
    def uses(self) -> tuple[str, ...]:
        return (self.policy,)

    @property
    def fullest(self) -> "LessonsConfig":
        """With so many tries that the last one reads as many lessons as any."""
        return self.model_copy(update={"tries": self.keep + 1, "reads": "own"})

    def example(self, problem: Problem, wrong: str, random: Random) -> Example | None:
        """Of a problem that names what may be mistaken for its answer (`mistakes`, each under the
        lesson that it teaches): a lesson from such a mistake, none from another wrong answer; or
        the right answer after some of the lessons."""
        mistakes: dict[str, str] | None = problem.metadata.get("mistakes")
        if mistakes is None:
            return None
        if random.random() < 0.5:
            answer = random.choice([*mistakes.values(), wrong])
            taught = {answer: lesson for lesson, answer in mistakes.items()}
            return Example(
                prompt=self.to_reflect(problem.prompt, answer), answer=taught.get(answer, "")
            )
        some = random.sample(list(mistakes), random.randint(1, min(self.keep, len(mistakes))))
        return Example(prompt=self.to_try(problem.prompt, some), answer=problem.answer)

    def to_try(self, prompt: str, lessons: Sequence[str]) -> str:
        if not lessons:
            return prompt
        return _filled(self.retry, prompt=prompt, lessons=self.between.join(lessons))

    def to_reflect(self, prompt: str, answer: str) -> str:
        return _filled(self.reflect, prompt=prompt, answer=answer)

    def build(self, parts: Parts) -> "WithLessons":
        return WithLessons(parts, self)


class WithLessons:
    """Every sample is an episode of its own, whose tries read its own lessons too; the last try
    counts. A lesson that did not end, or says nothing, is none."""

    def __init__(self, parts: Parts, config: LessonsConfig) -> None:
        self._domain = parts.domain
        self._policy = parts.policy(config.policy)
        self._memory = Memory(parts.log, config.capacity)
        self._config = config

    async def sample(self, task: Task, n: int, speak: Speak) -> Sequence[Sample]:
        return (await self.draw(task, n, speak)).samples

    async def draw(self, task: Task, n: int, speak: Speak) -> Drawn:
        config, problem = self._config, problem_of(task)
        more = {"family": task.family, "level": task.level}
        about = written(config.about, "sampler.about", problem, more)
        recalled = await asyncio.to_thread(self._memory.recall, about, config.keep)
        made = await together(self._episode(task, problem, recalled, speak) for _ in range(n))
        said = {turn.text: (index, turn) for index, (_, turns) in enumerate(made) for turn in turns}
        forgets = forgotten(recalled.about, list(said), config.keep)
        return Drawn(
            samples=[Sample(turns=tuple(tries)) for tries, _ in made],
            memory=recalled.position,
            lessons=[
                # What makes room for all of them is said once.
                Learned(sample=index, about=about, turn=turn, forgets=() if number else forgets)
                for number, (index, turn) in enumerate(said.values())
            ],
        )

    async def _episode(
        self, task: Task, problem: Problem, recalled: Recalled, speak: Speak
    ) -> tuple[list[Turn], list[Turn]]:
        """The tries, and what was learned of them."""
        tries: list[Turn] = []
        lessons: list[Turn] = []
        while len(tries) < self._config.tries:
            read = self._read(recalled, lessons)
            [answer] = await speak(self._config.to_try(task.prompt, read), seat=TRY)
            tries.append(answer)
            ended = answer.finish_reason == "stop"
            if (await asked(self._domain, self._domain.score, problem, answer.text, ended)).right:
                break
            [lesson] = await self._policy.sample(
                self._config.to_reflect(task.prompt, answer.text),
                max_tokens=self._config.max_tokens,
                temperature=self._config.temperature,
                since=task.weights_version,
                seat="reflection",
                trainable=False,
            )
            if lesson.text.strip() and lesson.finish_reason == "stop":
                lessons.append(lesson)
        return tries, lessons

    def _read(self, recalled: Recalled, own: Sequence[Turn]) -> tuple[str, ...]:
        config = self._config
        if config.reads == "none":
            return ()
        known = [lesson.text for lesson in recalled.others]
        if config.reads == "own":
            known = [lesson.text for lesson in recalled.about] + [turn.text for turn in own]
        return last(known, config.keep, config.max_characters)


def _filled(template: str, **texts: str) -> str:
    """In one pass: what a model says is never read as a field."""
    return _FIELD.sub(lambda found: texts.get(found[1], found[0]), template)
