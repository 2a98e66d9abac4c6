"""`evolvent audit --deep --engine`: what an engine says of chosen versions, against what was
published with them and what the evaluator measured. Changes nothing in the run.
"""

import asyncio
from collections.abc import Collection, Mapping

from agents.engines.engine import EngineUnusable, SwapRefused, Unservable
from agents.evaluator import Evaluator
from agents.parts import Parts
from bus.errors import Unreadable
from bus.events import CURRENT, Evaluation, Weights
from bus.log import Log
from bus.versions import Versions
from evolvent.errors import UsageError
from evolvent.recipe.recipe import Recipe
from evolvent.run.folder import RunFolder
from observability.audit.findings import Findings
from observability.audit.scan import Show
from trainer.checkpoint.manifest import is_thinned

Scores = Mapping[tuple[str, int], tuple[int, int]]
"""Right answers and problems, by suite and level."""


async def asked_again(
    folder: RunFolder,
    recipe: Recipe,
    parts: Parts,
    versions: Collection[int],
    findings: Findings,
    show: Show,
) -> None:
    """Load `versions`, or all whose weights are there, and measure again those that were measured.
    Raises `UsageError` for a version without weights, and where no engine can serve."""
    chosen = await asyncio.to_thread(_chosen, folder, parts.log, versions)
    measured = await asyncio.to_thread(_measured, parts.log)
    evaluator = Evaluator(parts, recipe.evaluator)
    exact = recipe.engine.in_process().type == "local"
    for number, weights in enumerate(chosen):
        show("versions asked again", number, len(chosen))
        name = f"version {weights.number}"
        findings.count("asked_again")
        try:
            # Whatever serves it asks for what the probe says, and refuses weights that differ.
            async with parts.serving(weights) as engine:
                said = measured.get(weights.id)
                if said is None:
                    continue
                found = {
                    (one.suite, one.level): (one.correct, one.total)
                    for one in await evaluator.scores(engine)
                }
        except (SwapRefused, Unservable) as refused:
            findings.violate("I13", f"{name} cannot be what was published: {refused}")
            continue
        except EngineUnusable as error:
            raise UsageError(str(error)) from None
        for place, (correct, total) in found.items():
            # Other engines round otherwise from load to load: a near tie may fall the other way.
            slack = 0 if exact else max(1, total // 50)
            if place in said and (said[place][1] != total or abs(said[place][0] - correct) > slack):
                findings.violate(
                    "I13",
                    f"{name} was measured with {said[place][0]} of {said[place][1]} right on "
                    f"{place[0]} of level {place[1]}, and has {correct} of {total}",
                )


def _chosen(folder: RunFolder, log: Log, versions: Collection[int]) -> list[Weights]:
    found = []
    for record in log.read("weights"):
        try:
            event = record.event()
        except Unreadable:
            continue
        if not isinstance(event, Weights) or (versions and event.number not in versions):
            continue
        path = folder.path / event.location
        if path.is_dir() and not is_thinned(path):
            found.append(event)
    if missing := set(versions) - {weights.number for weights in found}:
        raise UsageError(f"the weights of version {min(missing)} are not there: choose another")
    return found


def _measured(log: Log) -> dict[str, Scores]:
    """By the id of the version whose weights answered."""
    found: dict[str, Scores] = {}
    versions = Versions(log)
    for record in log.read("evaluations"):
        try:
            event = record.event()
        except Unreadable:
            continue
        if isinstance(event, Evaluation):
            weights = versions.numbered(event.weights_version)
            answered = None if weights is None else versions.moved(weights, CURRENT)
            found[answered.id if answered else event.weights] = {
                (one.suite, one.level): (one.correct, one.total) for one in event.scores
            }
    return found
