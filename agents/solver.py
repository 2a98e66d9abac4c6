"""Who attempts: draws a group of samples for a task. Knows no answer and no verdict."""

from collections.abc import Callable, Sequence
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field

from agents.engines.engine import Completion, Engine, Request, draw
from bus.events import Attempt, Sample, Task, Turn, derive_id

AGENT = "solver"


class SolverConfig(BaseModel):
    """`samples` per task at `temperature` by the weights of `policy`; at most `concurrency` tasks
    in flight."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    samples: int = Field(default=8, gt=0)
    temperature: float = Field(default=1.0, gt=0)
    concurrency: int = Field(default=128, gt=0)
    policy: str = "current"


class Policy(Protocol):
    """Whoever keeps the engine up to date."""

    async def at_least(self, version: int) -> None:
        """Wait until the engine serves no less than its policy serves once `version` is there."""
        ...


class Solver:
    """Task in, attempt out. A task waits until the policy has followed the version that granted
    it: by the current weights it is never attempted with any older than its own."""

    def __init__(
        self,
        run: str,
        engine: Engine,
        policy: Policy,
        config: SolverConfig,
        max_answer_tokens: Callable[[int], int],
    ) -> None:
        self._run = run
        self._engine = engine
        self._policy = policy
        self._config = config
        self._max_answer_tokens = max_answer_tokens

    async def handle(self, event: Task) -> Sequence[Attempt]:
        await self._policy.at_least(event.weights_version)
        request = Request(
            prompt_tokens=self._engine.encode(event.prompt),
            n=self._config.samples,
            max_tokens=self._max_answer_tokens(event.level),
            temperature=self._config.temperature,
        )
        completions = await draw(self._engine, request)
        attempt = Attempt(
            id=derive_id(self._run, AGENT, event.id),
            run=self._run,
            agent=AGENT,
            task=event,
            samples=tuple(
                Sample(turns=(turn_of(self._engine, request, completion),))
                for completion in completions
            ),
            temperature=self._config.temperature,
        )
        return [attempt]


def turn_of(engine: Engine, request: Request, completion: Completion) -> Turn:
    """What a completion looks like on the log."""
    return Turn(
        prompt_tokens=request.prompt_tokens,
        tokens=completion.tokens,
        logprobs=completion.logprobs,
        text=engine.decode(completion.tokens),
        finish_reason=completion.finish_reason,
        spans=completion.spans,
    )
