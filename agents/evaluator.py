"""Who measures: greedy exact match on the held-out suites, for chosen versions."""

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from statistics import fmean

from pydantic import BaseModel, ConfigDict, Field

from agents.domains.domain import Domain, Problem
from agents.engines.engine import Engine, Request
from bus.bus import Bus
from bus.events import Control, Evaluation, SuiteScore, Weights, derive_id
from bus.runner import Rejected

AGENT = "evaluator"


class EvaluatorConfig(BaseModel):
    """Version 0 and every `every`-th version are evaluated, `count` held-out problems a level;
    `levels` None means all levels of the domain."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    every: int = Field(default=20, gt=0)
    count: int = Field(default=64, gt=0)
    levels: tuple[int, ...] | None = None


class Evaluator:
    """Weights (or a request for one version) in, an evaluation out. `serve` opens an engine
    that serves exactly that version."""

    def __init__(
        self,
        *,
        run: str,
        domain: Domain,
        config: EvaluatorConfig,
        serve: Callable[[Weights], AbstractAsyncContextManager[Engine]],
        bus: Bus,
    ) -> None:
        self._run = run
        self._domain = domain
        self._config = config
        self._serve = serve
        self._bus = bus

    async def handle(self, event: Weights | Control) -> Sequence[Evaluation]:
        if isinstance(event, Weights):
            return [await self.evaluate(event)] if event.number % self._config.every == 0 else []
        if event.command != "evaluate":
            return []
        for record in self._bus.read("weights"):
            weights = record.event()
            if isinstance(weights, Weights) and weights.number == event.weights_version:
                return [await self.evaluate(weights)]
        raise Rejected(f"there is no version {event.weights_version}")

    async def evaluate(self, weights: Weights) -> Evaluation:
        """Score one version on every suite."""
        started = time.monotonic()
        async with self._serve(weights) as engine:
            scores = await self.scores(engine)
        last_seen = max(self._domain.warmup_levels)
        seen = [score.accuracy for score in scores if score.level <= last_seen]
        held_out = [score.accuracy for score in scores if score.level > last_seen]
        return Evaluation(
            id=derive_id(self._run, AGENT, weights.id),
            run=self._run,
            agent=AGENT,
            weights=weights.id,
            weights_version=weights.number,
            scores=tuple(scores),
            held_out=fmean(held_out) if held_out else 0.0,
            seen=fmean(seen) if seen else 0.0,
            seconds=time.monotonic() - started,
        )

    async def scores(self, engine: Engine) -> list[SuiteScore]:
        levels = self._config.levels or tuple(self._domain.levels)
        suites = {
            (family, level): self._domain.held_out(family, level, self._config.count)
            for family in self._domain.families
            for level in levels
        }
        problems = [problem for suite in suites.values() for problem in suite]
        right = await asyncio.gather(*(self._right(engine, problem) for problem in problems))
        verdicts = iter(right)
        scores = []
        for (family, level), suite in suites.items():
            correct = sum(next(verdicts) for _ in suite)
            low, high = wilson_interval(correct, len(suite))
            scores.append(
                SuiteScore(
                    suite=family,
                    level=level,
                    total=len(suite),
                    correct=correct,
                    low=low,
                    high=high,
                )
            )
        return scores

    async def _right(self, engine: Engine, problem: Problem) -> bool:
        answer, ended, _ = await answer_to(engine, self._domain, problem)
        return self._domain.score(problem, answer, ended).value >= 1.0


async def answer_to(engine: Engine, domain: Domain, problem: Problem) -> tuple[str, bool, int]:
    """The greedy answer, whether the model ended it, and the version that gave it."""
    [completion] = await engine.generate(
        Request(
            prompt_tokens=engine.encode(problem.prompt),
            max_tokens=domain.max_answer_tokens(problem.level),
            temperature=0.0,
        )
    )
    ended = completion.finish_reason == "stop"
    return engine.decode(completion.tokens), ended, completion.spans[-1].version


def wilson_interval(correct: int, total: int) -> tuple[float, float]:
    """The 95 % score interval of a share (Wilson 1927)."""
    z = 1.959964
    share = correct / total
    centre = (share + z * z / (2 * total)) / (1 + z * z / total)
    spread = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    half = spread / (1 + z * z / total)
    return max(0.0, centre - half), min(1.0, centre + half)
