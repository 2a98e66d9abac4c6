"""Who attempts: draws a group of samples for a task. Knows no answer and no verdict."""

from collections.abc import Sequence
from functools import partial

from pydantic import BaseModel, ConfigDict, Field

from agents.parts import Parts
from agents.policies.drawing import Stop, TopK, TopP
from agents.samplers.sampler import Drawn, Learned, Remembers, Sampler
from bus.codec import can_be_written
from bus.events import CURRENT, Attempt, Event, Lesson, Task, derive_id

AGENT = "solver"


class SolverConfig(BaseModel):
    """`samples` per task at `temperature` by the weights of `policy`, drawn from the tokens that
    `top_k` and `top_p` leave and ended by the texts `stop`; at most `concurrency` tasks in
    flight."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    samples: int = Field(default=8, gt=0)
    temperature: float = Field(default=1.0, gt=0)
    top_p: TopP = 1.0
    top_k: TopK = 0
    stop: Stop = ()
    concurrency: int = Field(default=128, gt=0)
    policy: str = CURRENT

    @property
    def narrowed(self) -> bool:
        """Whether some tokens cannot be drawn that the model might say."""
        return self.top_p < 1 or self.top_k > 0


class Solver:
    """Task in; attempt out, and what a sampler with a memory has learned. A task waits until the
    policy has followed the version that granted it: by the current weights it is never attempted
    with any older than its own."""

    def __init__(self, parts: Parts, sampler: Sampler, config: SolverConfig) -> None:
        self._run = parts.run
        self._domain = parts.domain
        self._policy = parts.policy(config.policy)
        self._sampler = sampler
        self._config = config

    async def handle(self, event: Task) -> Sequence[Event]:
        attempt, lessons = await self.attempt(event)
        return [attempt, *lessons]

    async def attempt(self, task: Task) -> tuple[Attempt, Sequence[Lesson]]:
        """The attempt, and what was learned of it; lessons that no log takes are left out."""
        drawn = await self._draw(task)
        attempt = Attempt(
            id=derive_id(self._run, AGENT, task.id),
            run=self._run,
            agent=AGENT,
            task=task,
            samples=tuple(drawn.samples),
            temperature=self._config.temperature,
            memory=drawn.memory,
        )
        lessons = [self._lesson(attempt, 1 + i, each) for i, each in enumerate(drawn.lessons)]
        return attempt, [lesson for lesson in lessons if can_be_written(lesson)]

    async def _draw(self, task: Task) -> Drawn:
        speak = partial(
            self._policy.sample,
            max_tokens=self._domain.max_answer_tokens(task.level),
            temperature=self._config.temperature,
            top_p=self._config.top_p,
            top_k=self._config.top_k,
            stop=self._config.stop,
            since=task.weights_version,
        )
        sampler, count = self._sampler, self._config.samples
        if isinstance(sampler, Remembers):
            return await sampler.draw(task, count, speak)
        return Drawn(samples=await sampler.sample(task, count, speak))

    def _lesson(self, attempt: Attempt, index: int, learned: Learned) -> Lesson:
        return Lesson(
            id=derive_id(self._run, AGENT, attempt.task.id, index),
            run=self._run,
            agent=AGENT,
            task=attempt.task.id,
            attempt=attempt.id,
            sample=learned.sample,
            about=learned.about,
            turn=learned.turn,
            forgets=learned.forgets,
        )
