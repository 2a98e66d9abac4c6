"""`evolvent fork`: a new run that begins as another one was at a position. Knows no role.

    the parent's records below the position, byte for byte   how far every group had come then
    its checkpoints up to then                               a start that names the parent

It is made as a copy is (`evolvent.run.copy`): killed anywhere, the same command goes on. The parent
is only read, and may be running. From its start on the fork has a name of its own, so that nothing
it says has the id of anything that its parent says.
"""

import asyncio
import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from bus.errors import Fenced
from bus.events import CURRENT, Control, Parent, Weights, derive_id
from bus.log import Log
from bus.records import Record, to_records
from bus.topics import TOPICS
from bus.versions import Versions
from evolvent.errors import UsageError
from evolvent.plugins import installed
from evolvent.recipe.load import changed_recipe, load_recipe
from evolvent.recipe.recipe import Recipe
from evolvent.roles import services
from evolvent.run.copy import (
    Copied,
    check_apart,
    check_other_log,
    partitioned_alike,
    transferred,
)
from evolvent.run.copy_log import Show
from evolvent.run.folder import RunFolder, stored_as
from observability.replay.forks import run_on
from observability.replay.past import PastLog
from observability.replay.position import UnknownPosition, Vector, named, position
from observability.replay.whole import check_whole
from trainer.checkpoint.manifest import is_thinned, nearest_whole
from trainer.checkpoint.recovery import published

AGENT = "evolvent"
_KEPT = ("model", "lora", "phases")
"""Sections of a recipe without which the weights of a version could not go on learning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forked:
    """What a fork begins with. At the versions `fresh` the parent had lost what training resumes
    from: it goes on from their weights with a fresh optimiser."""

    run: str
    parent: Parent
    fresh: tuple[int, ...]
    copied: Copied


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A fork as it is asked for: the same words mean the same fork, until it is made."""

    at: str
    recipe: str | None = None
    bus: str | None = None
    settings: Sequence[str] = ()

    def words(self) -> list[Any]:
        return [self.at, self.recipe, self.bus, [*self.settings]]


async def fork_run(here: RunFolder, target: Path, wish: Wish, show: Show) -> Forked:
    """Make a run in `target` of the one in `here`. Raises `UsageError`, `BusError`,
    `DamagedCheckpoint`."""
    there = RunFolder(target)
    check_apart(here.path, target)
    _check_no_run(there)
    with _held(there):
        _check_no_run(there)
        begin = _begun if there.copying_file.exists() else _planned
        if begin is _planned:
            there.check_free()
        async with here.log() as source:
            plan = await asyncio.to_thread(begin, here, there, wish, source.log)
            return await _fork(here, there, plan, source.log, show)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """By what a fork goes on, what its folder will say of it, and its first event."""

    recipe: Recipe
    stored: dict[str, Any]
    start: Control


async def _fork(here: RunFolder, there: RunFolder, plan: _Plan, log: Log, show: Show) -> Forked:
    recipe, start = plan.recipe, plan.start
    assert start.parent is not None
    await check_other_log(here, recipe.bus, there.path)
    ends = _vector(log, start.parent)
    past = await asyncio.to_thread(PastLog, log, ends, [_record(start, ends)])
    trained, needed = await asyncio.to_thread(_needed, recipe, past)
    check = partial(_check_weights, here, there, needed, start.parent.version)
    check()
    # What is needed comes first: where the parent is running, its trainer thins versions out.
    first = {here.path / weights.location: None for weights in needed}
    folders = list(first | dict.fromkeys(_folders(here, past)))
    try:
        copied = await transferred(
            past, here, folders, there, recipe.bus, plan.stored, show, check=check
        )
    except Fenced:
        place = recipe.bus.place(there.path)
        raise UsageError(f"somebody else uses {place}: stop it") from None
    fresh = tuple(one.number for one in trained if not _has_state(there, one))
    return Forked(run=start.run, parent=start.parent, fresh=fresh, copied=copied)


def _check_no_run(there: RunFolder) -> None:
    if there.exists:
        raise UsageError(f"{there.path} is a run already: a fork begins in a new folder")


@contextmanager
def _held(there: RunFolder) -> Iterator[None]:
    """The folder of a fork. It does not stay where it was made for one that was refused."""
    is_new = not there.path.exists()
    with there.locked():
        try:
            yield
        except BaseException:
            if is_new and [one.name for one in there.path.iterdir()] == ["lock"]:
                shutil.rmtree(there.path, ignore_errors=True)
            raise


def _recipe(here: RunFolder, target: Path, wish: Wish) -> Recipe:
    """What the fork goes on by: its parent's recipe, or another one for the same model."""
    parents = here.recipe()
    if wish.recipe is None:
        recipe = changed_recipe(parents, wish.settings, wish.bus or "sqlite")
    else:
        recipe = load_recipe(wish.recipe, wish.settings, wish.bus)
        # What is left out in a recipe means what it meant when the run was started.
        recipe = next(
            (one for one in (recipe, recipe.as_before()) if _goes_on(one, parents)), recipe
        )
    for section in _KEPT:
        if getattr(recipe, section) != getattr(parents, section):
            raise UsageError(
                f"a fork goes on learning the weights of its parent: [{section}] must be as it is "
                f"in {here.recipe_file}"
            )
    keeps, place = recipe.retention.every_versions is not None, recipe.retention.archive
    if keeps and place and place == parents.retention.archive:
        raise UsageError(
            f"retention.archive = {place} is for the archive of {here.path}: name another for the "
            "fork with --set retention.archive=DIR"
        )
    config = partitioned_alike(recipe.bus.named(target), here.bus(), wish.settings)
    return recipe.model_copy(update={"bus": config})


def _goes_on(recipe: Recipe, parents: Recipe) -> bool:
    return all(getattr(recipe, section) == getattr(parents, section) for section in _KEPT)


def _planned(here: RunFolder, there: RunFolder, wish: Wish, log: Log) -> _Plan:
    recipe = _recipe(here, there.path, wish)
    try:
        ends = position(log, wish.at)
        check_whole(log, ends)
    except UnknownPosition as error:
        raise UsageError(str(error)) from None
    past = PastLog(log, ends)
    newest = Versions(past).newest()
    parent = Parent(
        # Of a fork, before its own first event, this is the run that it was forked from.
        run=run_on(past) or here.run_id,
        place=here.bus().place(here.path),
        version=None if newest is None else newest.number,
        ends=named(ends),
    )
    settings = recipe.model_dump(mode="json")
    said = json.dumps([parent.model_dump(mode="json"), settings], sort_keys=True)
    run = f"{recipe.bus.name(there.path)}-{hashlib.sha256(said.encode()).hexdigest()[:8]}"
    start = Control(
        id=derive_id(run, AGENT, "fork"),
        run=run,
        agent=AGENT,
        command="start",
        seed=recipe.seed,
        settings=settings,
        plugins=installed().used_by(recipe),
        parent=parent,
    )
    fork = {"of": here.run_id, "asked": wish.words(), "start": start.model_dump(mode="json")}
    return _Plan(recipe=recipe, stored={**stored_as(recipe, run), "fork": fork}, start=start)


def _begun(here: RunFolder, there: RunFolder, wish: Wish, _: Log) -> _Plan:
    """What was planned when it was begun, whatever a file of the recipe says by now. Raises
    `UsageError` where that was something else."""
    try:
        stored = json.loads(there.copying_file.read_bytes())
        start = Control.model_validate(stored["fork"]["start"])
        fork = stored["fork"]
        if (fork["of"], fork["asked"]) == (here.run_id, wish.words()):
            plugins = installed()
            plugins.check_same(start.plugins, str(there.path))
            recipe = plugins.recipe.model_validate(start.settings)
            return _Plan(recipe=recipe, stored=stored, start=start)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise UsageError(
        f"{there.path} holds another fork or copy that is not finished: choose another folder"
    )


def _vector(log: Log, parent: Parent) -> Vector:
    return {(topic, part): parent.ends.get(f"{topic}/{part}", 0) for topic, part in log.heads()}


def _record(start: Control, ends: Vector) -> Record:
    [record] = to_records([start], TOPICS)
    return replace(record, offset=ends[record.topic, record.partition])


def _folders(here: RunFolder, past: Log) -> list[Path]:
    """The checkpoints of the versions on a log, as far as they are there."""
    found = []
    for record in past.read(Weights.topic):
        event = record.event()
        if isinstance(event, Weights) and (here.path / event.location).is_dir():
            found.append(here.path / event.location)
    return found


def _needed(recipe: Recipe, past: Log) -> tuple[list[Weights], list[Weights]]:
    """The versions that the fork goes on learning from, and all whose weights it needs."""
    versions = Versions(past)
    head = versions.newest()
    if head is None:
        return [], []
    policies = {CURRENT, *(phase.policy for phase in recipe.phases)}
    trained = _in_order(versions.moved(head, name) for name in policies)
    used = {name for row in services(recipe).values() for name in row.uses(recipe)}
    served = [due for name in used if (due := recipe.policy(name).due(versions)) is not None]
    return trained, _in_order([*trained, *served])


def _check_weights(
    here: RunFolder, there: RunFolder, needed: Sequence[Weights], version: int | None
) -> None:
    """Raises `UsageError` where weights are gone that a fork at a version does not have yet."""
    for weights in needed:
        copied = (there.path / weights.location).is_dir()
        run = there.path if copied else here.path
        published(run, weights)
        if is_thinned(run / weights.location):
            near = " or ".join(map(str, nearest_whole(here.path, version or 0)))
            again = ", into another folder" if copied else ""
            raise UsageError(
                f"version {version} cannot be forked: the weights of version {weights.number} were "
                f"thinned out; fork at version {near}{again}"
            )


def _has_state(there: RunFolder, weights: Weights) -> bool:
    return (there.path / weights.location / "state").is_dir()


def _in_order(versions: Iterable[Weights]) -> list[Weights]:
    """Each once."""
    return sorted({one.id: one for one in versions}.values(), key=lambda one: one.number)
