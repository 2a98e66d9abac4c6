"""Who measures: greedy exact match on the held-out suites, for chosen versions."""

import asyncio
import logging
import math
import time
from collections.abc import Sequence
from statistics import fmean

from pydantic import BaseModel, ConfigDict, Field

from agents.domains.domain import Domain, Measured, Problem, asked
from agents.engines.engine import Engine, SwapRefused, Unservable
from agents.parts import Parts
from agents.policies.policy import sample
from agents.together import together
from bus.events import CURRENT, Control, Evaluation, SuiteScore, Weights, derive_id
from bus.runner import Rejected
from bus.versions import Versions

AGENT = "evaluator"

_log = logging.getLogger(__name__)


class EvaluatorConfig(BaseModel):
    """Version 0 and every `every`-th version are evaluated, `count` held-out problems a level;
    `levels` None means all levels of the domain."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    every: int = Field(default=20, gt=0)
    count: int = Field(default=64, gt=0)
    levels: tuple[int, ...] | None = None


class Evaluator:
    """Weights (or a request for one version) in, an evaluation out. The texts `stop` end an answer
    as they end the solver's."""

    def __init__(self, parts: Parts, config: EvaluatorConfig, stop: tuple[str, ...] = ()) -> None:
        self._stop = stop
        self._run = parts.run
        self._domain = parts.domain
        self._config = config
        self._serving = parts.serving
        self._versions = Versions(parts.log)

    async def handle(self, event: Weights | Control) -> Sequence[Evaluation]:
        weights = await self._to_measure(event)
        if weights is None:
            return []
        try:
            return [await self.evaluate(weights)]
        except (SwapRefused, Unservable) as refused:
            raise Rejected(str(refused)) from None

    async def _to_measure(self, event: Weights | Control) -> Weights | None:
        if isinstance(event, Weights):
            return event if event.number % self._config.every == 0 else None
        if event.command != "evaluate" or event.weights_version is None:
            return None
        weights = await asyncio.to_thread(self._versions.numbered, event.weights_version)
        if weights is None:
            raise Rejected(f"there is no version {event.weights_version}")
        return weights

    async def evaluate(self, weights: Weights) -> Evaluation:
        """Score one version on every suite: the policy that answers, as it is there. Raises
        `SwapRefused`."""
        started = time.monotonic()
        answers = await asyncio.to_thread(self._versions.moved, weights, CURRENT)
        async with self._serving(answers) as engine:
            scores = await self.scores(engine)
            quantities = await self._quantities(engine)
        warmup_end = max(self._domain.warmup_levels, default=0)
        seen = [score.accuracy for score in scores if score.level <= warmup_end]
        held_out = [score.accuracy for score in scores if score.level > warmup_end]
        seconds = time.monotonic() - started
        _log.info(
            "version %d: held out %.1f%%, measured in %.1f s",
            *(weights.number, 100 * fmean(held_out) if held_out else 0.0, seconds),
        )
        return Evaluation(
            id=derive_id(self._run, AGENT, weights.id),
            run=self._run,
            agent=AGENT,
            weights=weights.id,
            weights_version=weights.number,
            scores=tuple(scores),
            held_out=fmean(held_out) if held_out else 0.0,
            seen=fmean(seen) if seen else 0.0,
            seconds=seconds,
            warmup_end=warmup_end,
            quantities=quantities,
        )

    async def scores(self, engine: Engine) -> list[SuiteScore]:
        levels = self._config.levels or tuple(self._domain.levels)
        cells = [(family, level) for family in self._domain.families for level in levels]
        # A family of a user's own data may have nothing of a level to measure.
        suites = {
            cell: suite
            for cell in cells
            if (suite := self._domain.held_out(*cell, self._config.count))
        }
        problems = [problem for suite in suites.values() for problem in suite]
        right = await together(self._right(engine, problem) for problem in problems)
        verdicts = iter(right)
        scores = []
        for (family, level), suite in suites.items():
            correct = sum(next(verdicts) for _ in suite)
            low, high = wilson_interval(correct / len(suite), len(suite))
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

    async def _quantities(self, engine: Engine) -> dict[str, float]:
        """Those that are numbers: no log has room for others."""
        if not isinstance(self._domain, Measured):
            return {}
        found = await self._domain.measure(engine)
        return {name: float(value) for name, value in found.items() if math.isfinite(value)}

    async def _right(self, engine: Engine, problem: Problem) -> bool:
        answer, ended, _ = await answer_to(engine, self._domain, problem, self._stop)
        score = await asked(self._domain, self._domain.score, problem, answer, ended)
        return score.right


async def answer_to(
    engine: Engine, domain: Domain, problem: Problem, stop: tuple[str, ...] = ()
) -> tuple[str, bool, int]:
    """The greedy answer, whether the model ended it, and the version that gave it."""
    [turn] = await sample(
        engine,
        problem.prompt,
        max_tokens=domain.max_answer_tokens(problem.level),
        temperature=0.0,
        stop=stop,
    )
    return turn.text, turn.finish_reason == "stop", turn.spans[-1].version


def wilson_interval(share: float, total: int) -> tuple[float, float]:
    """The 95 % score interval of a share of `total` > 0 (Wilson 1927)."""
    z = 1.959964
    centre = (share + z * z / (2 * total)) / (1 + z * z / total)
    spread = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    half = spread / (1 + z * z / total)
    return max(0.0, centre - half), min(1.0, centre + half)
