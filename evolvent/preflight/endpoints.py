"""Whether the endpoints that judge are there and answer: asked once, before anything starts."""

import asyncio
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor

from agents.domains.domain import Problem
from agents.engines.engine import EngineUnusable
from agents.judges.asking import filled
from agents.judges.endpoint import EndpointConfig
from bus.runner import Rejected
from evolvent.errors import UsageError
from evolvent.recipe.recipe import Recipe

JUDGES = "critic"
_PATIENCE_SECONDS = 3.0
"""A server that is just starting is asked again for so long."""


def check_endpoints(
    recipe: Recipe, problems: Sequence[Problem], roles: Collection[str] | None
) -> None:
    """Asks about the right answer of one of the `problems`, where the critic is among `roles`.
    Raises `UsageError` for an endpoint that cannot be reached, or says that it cannot judge."""
    if JUDGES in recipe.run.without or (roles is not None and JUDGES not in roles):
        return
    for judge in recipe.all_judges:
        if isinstance(judge, EndpointConfig) and problems:
            check_endpoint(judge, problems[0])


def check_endpoint(judge: EndpointConfig, problem: Problem) -> None:
    """Asks about the right answer of a problem. Raises `UsageError`."""
    # In a thread of its own: whoever asks may be within a loop of events.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, _ask(judge, problem)).result()


async def _ask(judge: EndpointConfig, problem: Problem) -> None:
    hurried = judge.model_copy(update={"patience_seconds": _PATIENCE_SECONDS})
    try:
        async with hurried.endpoint().open() as ask:
            await ask(
                filled(judge.template, problem, problem.answer),
                temperature=judge.temperature,
                max_tokens=judge.max_tokens,
            )
    except (EngineUnusable, Rejected) as error:
        raise UsageError(str(error)) from None
