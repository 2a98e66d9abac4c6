"""The judges of a recipe as they are asked again: by what stands on the log, where that is all
they judge by, else by weights of the run that are there.
"""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path

from agents.domains.domain import problem_of
from agents.engines.checkpoint.held import held
from agents.engines.engine import Engine, EngineUnusable, SwapRefused
from agents.engines.scripted import ScriptedEngine
from agents.judges.combined import Combined
from agents.judges.config import JudgeConfig
from agents.judges.endpoint import EndpointConfig
from agents.judges.judge import Records
from agents.policies.policy import Policies, Policy
from bus.errors import Unreadable
from bus.events import Task, Weights
from bus.log import Log
from bus.versions import Versions
from evolvent.errors import UsageError
from evolvent.preflight.endpoints import check_endpoint
from evolvent.recipe.recipe import Recipe
from evolvent.workplace import Workplace
from observability.replay.again import Again, Asked
from trainer.checkpoint.manifest import is_thinned

_NOT_ASKED = {
    *("scale", "behind", "rationale", "yes", "no", "first", "second"),
    *("key_variable", "timeout_seconds", "patience_seconds", "at_once"),
}
"""Fields of a judge that decide how a reply is read or how long it is waited for, and not what is
asked."""


def judges_again(was: Recipe, place: Workplace, policies: Policies) -> Again:
    """The judges of the place's recipe, for the log of a run that was judged by those of `was`;
    those that ask a model anew take it from `policies`. Raises `UsageError` for one that cannot be
    asked. Reads the log."""
    recipe = place.recipe
    judges = [_asked(config, was, place, policies) for config in recipe.all_judges]
    at_once = recipe.critic.concurrency
    if len(judges) == 1:
        return Again(judges, judges[0].type, None, at_once)
    named = [(one.type, one.judge) for one in judges]
    combined = Combined(named, recipe.critic.combine, recipe.critic.weights)
    return Again(judges, combined.name, combined.one, at_once)


def _asked(config: JudgeConfig, was: Recipe, place: Workplace, policies: Policies) -> Asked:
    parts = copy(place.parts)
    if _asks_the_same(config, was):
        parts.policy = _nobody
        judge = config.build(parts)
        if isinstance(judge, Records):
            return Asked(type=config.type, judge=judge, recorded=True)
    if isinstance(config, EndpointConfig):
        for task in _first_task(place.parts.log):
            check_endpoint(config, problem_of(task))
    parts.policy = policies
    try:
        return Asked(type=config.type, judge=config.build(parts), recorded=False)
    except ValueError as error:
        raise UsageError(f"judge.type = {config.type!r}: {error}") from None


def _asks_the_same(config: JudgeConfig, was: Recipe) -> bool:
    """Whether a judge of the run asked the same, so that the replies to it stand on the log."""
    asks = config.model_dump(exclude=_NOT_ASKED)
    return any(asks == one.model_dump(exclude=_NOT_ASKED) for one in was.all_judges)


def _first_task(log: Log) -> Iterator[Task]:
    heads = log.heads().items()
    for partition, end in sorted((part, end) for (topic, part), end in heads if topic == "tasks"):
        for record in log.read(Task.topic, partition, end=min(end, 1)):
            with suppress(Unreadable):
                event = record.event()
                if isinstance(event, Task):
                    yield event
                    return


def _nobody(name: str) -> Policy:
    return Policy(name=name, engine=ScriptedEngine(lambda *_: ""), follower=_Silent())


class _Silent:
    """Of a policy whose replies are all on the log."""

    async def run(self) -> None:
        return

    async def at_least(self, version: int) -> None:
        raise RuntimeError("what was recorded is asked anew")


def policy_at_the_end(place: Workplace, name: str) -> Policy:
    """A policy that serves what it had at the end of the log. Raises `UsageError` where that is not
    there."""
    rule = place.recipe.policy(name)
    weights = rule.due(Versions(place.parts.log))
    folder = place.path / ("" if weights is None else weights.location)
    if weights is None or not folder.is_dir() or is_thinned(folder):
        which = "" if weights is None else f" (version {weights.number})"
        raise UsageError(
            f"a judge asks the policy {name}, and the weights that it had at the end of the log "
            f"are not there{which}: choose a judge that asks no model, or a policy whose weights "
            "are kept"
        )
    try:
        build = place.recipe.engine_of(rule).in_process().build
        engine = build(place.executor, place.parts.seed)
    except EngineUnusable as error:
        raise UsageError(str(error)) from None
    still = _Still(engine=engine, folder=folder, weights=weights)
    return Policy(name=name, engine=engine, follower=still)


@dataclass(slots=True, kw_only=True)
class _Still:
    """Keeps an engine at one version."""

    engine: Engine
    folder: Path
    weights: Weights
    _loading: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def run(self) -> None:
        return

    async def at_least(self, version: int) -> None:
        async with self._loading:
            if self.engine.version >= 0:
                return
            try:
                with held(self.folder):
                    await self.engine.swap(self.weights.number, self.folder, self.weights.files)
            except SwapRefused as refused:
                raise UsageError(str(refused)) from None
