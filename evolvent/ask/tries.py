"""What a version can do in several tries: answers drawn on the held-out suites. Only reads a run.

pass@k (Chen et al. 2021, arXiv 2107.03374): the chance that of k drawn answers at least one is
right; without bias from n >= k of which c are right, 1 - C(n - c, k) / C(n, k).
"""

import asyncio
from dataclasses import dataclass
from math import comb
from statistics import fmean

from agents.domains.domain import Domain, Problem
from agents.engines.engine import Engine, EngineUnusable, SwapRefused, Unservable
from agents.policies.policy import sample
from agents.together import together
from evolvent.ask.ask import find_answering, opened
from evolvent.errors import UsageError
from evolvent.run.folder import RunFolder


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One suite: `pass_1` and `pass_n` of `samples` answers to each of its `problems`."""

    suite: str
    level: int
    problems: int
    samples: int
    pass_1: float
    pass_n: float


async def tried(
    folder: RunFolder,
    version: int | None,
    *,
    samples: int,
    count: int | None = None,
    beyond: int = 0,
    temperature: float = 1.0,
) -> list[Tried]:
    """`samples` answers of a version to each of the first `count` held-out problems of a suite but
    for the first `beyond`, each one turn. None means the newest version and as many problems as
    the evaluator asks."""
    async with opened(folder) as place:
        recipe, domain = place.recipe, place.parts.domain
        weights = await asyncio.to_thread(find_answering, folder, place.bus.log, version)
        number = recipe.evaluator.count if count is None else count
        suites = {
            (family, level): suite
            for family in domain.families
            for level in recipe.evaluator.levels or tuple(domain.levels)
            if (suite := domain.held_out(family, level, number)[beyond:])
        }
        try:
            async with place.parts.serving(weights) as engine:
                return [
                    await _tried(engine, domain, suite, samples, temperature, recipe.solver.stop)
                    for suite in suites.values()
                ]
        except (SwapRefused, EngineUnusable, Unservable, ValueError) as error:
            raise UsageError(str(error)) from None


def pass_at(k: int, drawn: int, right: int) -> float:
    """pass@k where `right` of `drawn` >= k answers were right."""
    return 1 - comb(drawn - right, k) / comb(drawn, k)


async def _tried(
    engine: Engine,
    domain: Domain,
    suite: list[Problem],
    samples: int,
    temperature: float,
    stop: tuple[str, ...],
) -> Tried:
    async def right(problem: Problem) -> int:
        turns = await sample(
            engine,
            problem.prompt,
            samples,
            max_tokens=domain.max_answer_tokens(problem.level),
            temperature=temperature,
            stop=stop,
        )
        ends = ((turn.text, turn.finish_reason == "stop") for turn in turns)
        return sum(domain.score(problem, *end).right for end in ends)

    counts = await together(map(right, suite))
    return Tried(
        suite=suite[0].family,
        level=suite[0].level,
        problems=len(suite),
        samples=samples,
        pass_1=fmean(pass_at(1, samples, count) for count in counts),
        pass_n=fmean(pass_at(samples, samples, count) for count in counts),
    )
