"""Try a version: with inputs of your own, or on the held-out suites. Only reads a run."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass

from agents.domains.domain import Domain, NotATask
from agents.engines.config import in_process
from agents.engines.engine import Engine, EngineUnusable, SwapRefused
from agents.evaluator import Evaluator, EvaluatorConfig, answer_to
from bus.bus import Bus
from bus.events import Evaluation, Weights
from evolvent.errors import UsageError
from evolvent.run.folder import RunFolder


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a version said. `expected` is None where nobody knows the answer."""

    version: int
    prompt: str
    completion: str
    expected: str | None
    correct: bool | None


async def ask(
    folder: RunFolder, inputs: list[str], versions: list[int], family: str | None
) -> list[Answer]:
    """Greedy answers, version by version. No `versions` means the newest."""
    domain = folder.recipe().domain.build()
    if family is not None and family not in domain.families:
        names = ", ".join(domain.families)
        raise UsageError(f"there is no family {family} in this run: there are {names}")
    try:
        problems = [domain.pose(text, family) for text in inputs]
    except NotATask as error:
        raise UsageError(str(error)) from None
    answers = []
    async with folder.log() as bus:
        chosen = [find_weights(bus, number) for number in versions] or [find_weights(bus, None)]
        for weights in chosen:
            async with serving(folder, weights) as engine:
                for problem in problems:
                    text, ended, version = await answer_to(engine, domain, problem)
                    known = bool(problem.answer)
                    right = domain.score(problem, text, ended).value >= 1.0 if known else None
                    answers.append(
                        Answer(
                            version=version,
                            prompt=problem.prompt,
                            completion=text,
                            expected=problem.answer or None,
                            correct=right,
                        )
                    )
    return answers


async def evaluate(folder: RunFolder, version: int | None, count: int | None) -> Evaluation:
    """Score a version on the held-out suites, `count` problems a level."""
    recipe = folder.recipe()
    domain: Domain = recipe.domain.build()
    config = recipe.evaluator
    if count is not None:
        config = EvaluatorConfig(every=config.every, count=count, levels=config.levels)
    async with folder.log() as bus:
        evaluator = Evaluator(
            run=folder.run_id,
            domain=domain,
            config=config,
            serve=lambda weights: serving(folder, weights),
            bus=bus,
        )
        try:
            return await evaluator.evaluate(find_weights(bus, version))
        except ValueError as error:
            raise UsageError(str(error)) from None


def find_weights(bus: Bus, number: int | None) -> Weights:
    """The event of a version, None meaning the newest; raises `UsageError`."""
    newest = bus.heads()["weights", 0] - 1
    if newest < 0:
        raise UsageError("the run has no version yet: let it run a little longer")
    if number is not None and not 0 <= number <= newest:
        raise UsageError(f"there is no version {number}: there are 0 to {newest}")
    wanted = newest if number is None else number
    [record] = bus.read("weights", start=wanted, end=wanted + 1)
    weights = record.event()
    assert isinstance(weights, Weights)
    return weights


@asynccontextmanager
async def serving(folder: RunFolder, weights: Weights) -> AsyncIterator[Engine]:
    """An engine of its own that serves one version."""
    recipe = folder.recipe()
    with ThreadPoolExecutor(1) as executor:
        try:
            engine = in_process(recipe.engine).build(executor, recipe.seed)
        except EngineUnusable as error:
            raise UsageError(str(error)) from None
        try:
            await engine.swap(weights.number, folder.path / weights.location, weights.files)
            yield engine
        except (SwapRefused, EngineUnusable) as error:
            raise UsageError(str(error)) from None
        finally:
            await asyncio.shield(engine.close())
