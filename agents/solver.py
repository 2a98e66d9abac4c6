"""Who attempts: draws a group of samples for a task. Knows no answer and no verdict."""

from collections.abc import Sequence
from functools import partial

from pydantic import BaseModel, ConfigDict, Field

from agents.parts import Parts
from agents.policies.config import CURRENT
from agents.policies.drawing import Stop, TopK, TopP
from agents.samplers.sampler import Sampler
from bus.events import Attempt, Task, derive_id

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
    """Task in, attempt out. A task waits until the policy has followed the version that granted
    it: by the current weights it is never attempted with any older than its own."""

    def __init__(self, parts: Parts, sampler: Sampler, config: SolverConfig) -> None:
        self._run = parts.run
        self._domain = parts.domain
        self._policy = parts.policy(config.policy)
        self._sampler = sampler
        self._config = config

    async def handle(self, event: Task) -> Sequence[Attempt]:
        speak = partial(
            self._policy.sample,
            max_tokens=self._domain.max_answer_tokens(event.level),
            temperature=self._config.temperature,
            top_p=self._config.top_p,
            top_k=self._config.top_k,
            stop=self._config.stop,
            since=event.weights_version,
        )
        attempt = Attempt(
            id=derive_id(self._run, AGENT, event.id),
            run=self._run,
            agent=AGENT,
            task=event,
            samples=tuple(await self._sampler.sample(event, self._config.samples, speak)),
            temperature=self._config.temperature,
        )
        return [attempt]
