"""The parts of a run that `evolvent audit --deep` asks again: its domain and its judges, and with
`--engine` its engine. Changes nothing in the run.
"""

import asyncio
from collections.abc import Collection
from contextlib import ExitStack
from functools import partial

from agents.judges.combined import Combined
from agents.judges.judge import Judge
from agents.parts import Parts
from bus.log import Log
from evolvent.deep_audit.engine import asked_again
from evolvent.recipe.recipe import Recipe
from evolvent.recipe.stored import digests_of
from evolvent.run.folder import RunFolder
from evolvent.voice import LogVoice
from evolvent.workplace import Workplace
from observability.audit.audit import Audit, audit, outcome
from observability.audit.deep.deep import Deep
from observability.audit.deep.problems import Problems
from observability.audit.deep.verdicts import Verdicts
from observability.audit.findings import Findings
from observability.audit.scan import Show

REPEATABLE = frozenset({"exact", "vote", "chance", "game", "implicit", "endpoint"})
"""Judges that say the same each time they are asked: no model speaks in them, or what it said is on
the log."""


async def deep_audit(
    folder: RunFolder, quick: int | None, engine: Collection[int] | None, show: Show
) -> Audit:
    """The audit of a run, bodies included; with `engine`, these versions are asked again (none: all
    whose weights are there). Raises `UsageError`, `BusError`."""
    recipe, run_id = folder.recipe(), folder.run_id
    async with folder.log() as bus:
        place = Workplace(folder.path, run_id, recipe, bus, LogVoice())
        ending = ExitStack()
        deep = partial(_deep, recipe, place.parts, ending)
        try:
            findings = Findings()
            look = partial(
                audit, quick=quick, digests=digests_of, deep=deep, show=show, findings=findings
            )
            found = await asyncio.to_thread(look, bus.log, folder.path)
            if engine is None:
                return found
            await asked_again(folder, recipe, place.parts, engine, findings, show)
            return outcome(findings)
        finally:
            ending.close()
            await asyncio.shield(place.close())


def _deep(
    recipe: Recipe, parts: Parts, ending: ExitStack, log: Log, findings: Findings, show: Show
) -> Deep:
    verdicts = _verdicts(recipe, parts)
    ending.callback(verdicts.close)
    return Deep(
        log=log,
        findings=findings,
        show=show,
        problems=_problems(recipe, parts),
        verdicts=verdicts,
    )


def _problems(recipe: Recipe, parts: Parts) -> Problems:
    """Where levels have too few problems to keep any back, none is held out."""
    first = getattr(recipe.domain, "held_out_from", 0)
    count = getattr(recipe.domain, "held_out_per_level", recipe.evaluator.count)
    levels = [level for level in parts.domain.levels if level >= first]
    return Problems(parts.domain, levels, count)


def _verdicts(recipe: Recipe, parts: Parts) -> Verdicts:
    judges: dict[str, Judge] = {
        config.type: config.build(parts)
        for config in recipe.all_judges
        if config.type in REPEATABLE
    }
    types = [config.type for config in recipe.all_judges]
    if len(types) == 1:
        return Verdicts(types, judges, None)
    rule = Combined((), recipe.critic.combine, recipe.critic.weights)
    return Verdicts(types, judges, lambda said: rule.one(tuple(said)).reward)
