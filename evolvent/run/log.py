"""The log of a run, reached and compared with the run's folder before anything is written to it.
Knows no role.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from bus.bus import Bus
from bus.config import BusConfig
from bus.errors import Unreachable, Unreadable
from bus.events import Control, derive_id
from bus.groups import name_of
from bus.log import Log
from bus.topics import TOPICS, partitions_on
from evolvent.errors import UsageError
from evolvent.given.own_model import check_model
from evolvent.plugins import installed
from evolvent.process import pauses
from evolvent.recipe.data import check_same
from evolvent.recipe.recipe import Recipe
from evolvent.run.folder import RunFolder, new_run_id
from observability.archive import manifest
from observability.archive.place import place_of
from observability.replay.forks import run_on
from trainer.checkpoint.recovery import agreed, rests_on

_log = logging.getLogger(__name__)


def prepare(folder: RunFolder, recipe: Recipe | None) -> Recipe:
    """What the run in `folder` is to be started with: `recipe` where it is new, or where it is
    the same run; raises `UsageError`."""
    if not folder.exists:
        if recipe is None:
            raise UsageError(f"{folder.path} is not a run: name a recipe to start one there")
        return recipe.model_copy(update={"bus": recipe.bus.named(folder.path)})
    stored = folder.recipe().without_commands()
    if recipe is None:
        return stored
    if stored.digest not in (recipe.digest, recipe.as_before().digest):
        check_same(stored, recipe, str(folder.path))
        raise UsageError(
            f"{folder.path} was started with another recipe or other settings "
            f"({stored.name}, seed {stored.seed}): choose another --dir, or go on with "
            f"`evolvent run --dir {folder.path}`"
        )
    if "bus" in recipe.model_fields_set and not stored.bus.is_log_of(recipe.bus):
        raise UsageError(
            f"{folder.path} has its log at {stored.bus.place(folder.path)}: go on there, or make a "
            "copy of the run on another bus with `evolvent copy`"
        )
    if "bus" in recipe.model_fields_set:
        _check_partitions(recipe.bus, stored.bus.partitions, stored.bus.place(folder.path))
    return stored.gone_on_with(recipe)


@asynccontextmanager
async def opened(
    folder: RunFolder, recipe: Recipe, show: Callable[[str], None]
) -> AsyncIterator[Bus]:
    """The log of a run about to start. A new run gets its folder once its log is there, so that
    nothing stays behind of a start that did not reach it; `show` says what is not gone on from.
    Raises `UsageError`."""
    new = not folder.exists
    if new:
        folder.check_free()
        if recipe.model.path is not None:
            check_model(recipe.model.path)
    async with folder.log(recipe.bus, writable=True) as bus:
        await asyncio.to_thread(check_archive, folder, recipe, bus.log)
        if new:
            if found := await asyncio.to_thread(_holder, bus.log):
                raise UsageError(
                    f"{recipe.bus.place(folder.path)} holds the run {found} already, and "
                    f"{folder.path} is not its folder: name that with --dir, or choose another "
                    "name for the new run"
                )
            folder.create(await asyncio.to_thread(_as_on, folder, recipe, bus.log))
        else:
            await asyncio.to_thread(check_log, folder, recipe, bus.log)
            await asyncio.to_thread(_as_on, folder, recipe, bus.log)
            if said := await asyncio.to_thread(check_recovery, folder, recipe, bus.log):
                show(said)
            folder.store(recipe)
        yield bus


def joined(folder: RunFolder, recipe: Recipe, log: Log) -> None:
    """Make one more process part of the run on the log; its folder may be its own."""
    if folder.exists:
        check_log(folder, recipe, log)
        return
    recipe = _as_on(folder, recipe, log)
    start = _first_start(log)
    if start is not None and not _is_start_of(start, recipe, recipe.bus.place(folder.path)):
        raise UsageError(
            f"{recipe.bus.place(folder.path)} was started with another recipe or other settings "
            f"({start.settings['name']}, seed {start.seed}): choose another name for the run"
        )
    folder.create(recipe, run_id=run_on(log))


def _as_on(folder: RunFolder, recipe: Recipe, log: Log) -> Recipe:
    """The recipe with the number of partitions that stands on the log. Raises `UsageError` when it
    says another one."""
    there = partitions_on(Counter(topic for topic, _ in log.heads()), TOPICS)
    if there is None or there == recipe.bus.partitions:
        return recipe
    _check_partitions(recipe.bus, there, recipe.bus.place(folder.path))
    bus = recipe.bus.model_copy(update={"partitions": there})
    return recipe.model_copy(update={"bus": bus})


def _check_partitions(bus: BusConfig, there: int, place: str) -> None:
    """A recipe that leaves the number out takes the log's."""
    if "partitions" in bus.model_fields_set and bus.partitions != there:
        raise UsageError(
            f"{place} has {there} partitions and the recipe says bus.partitions = "
            f"{bus.partitions}: the number of a log cannot change; leave it out, or start another "
            "run with it"
        )


def _is_start_of(start: Control, recipe: Recipe, place: str) -> bool:
    """Whether a run that began so has this recipe. Raises `UsageError` without its plug-ins."""
    plugins = installed()
    plugins.check_same(start.plugins, place)
    stored = plugins.recipe.model_validate(start.settings).digest
    return stored in (recipe.digest, recipe.as_before().digest)


async def reached(build: Callable[[], Bus], stop: asyncio.Event) -> Bus | None:
    """The log, however long its broker is away; None when stopped. Raises `BusError`."""
    waits = pauses()
    while not stop.is_set():
        try:
            return await asyncio.to_thread(build)
        except Unreachable as error:
            pause = next(waits)
            _log.warning("waiting for the broker, again in %g s: %s", pause, error)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), pause)
    return None


def started(folder: RunFolder, recipe: Recipe, number: int) -> Control:
    """Says on the log what the run is started with; `number` is where it will stand."""
    return Control(
        id=derive_id(folder.run_id, "evolvent", "start", number),
        run=folder.run_id,
        agent="evolvent",
        command="start",
        seed=recipe.seed,
        settings=recipe.model_dump(mode="json"),
        plugins=installed().used_by(recipe),
    )


def _holder(log: Log) -> str | None:
    """Whose log it is, None while it is empty."""
    return run_on(log) or "of nobody known" if any(log.heads().values()) else None


def _first_start(log: Log) -> Control | None:
    """Of the run itself, not of the one that it was forked from."""
    found: Control | None = None
    for record in log.read("control"):
        try:
            event = record.event()
        except Unreadable:
            continue
        if not isinstance(event, Control) or event.command != "start":
            continue
        if found is None or event.parent is not None:
            found = event
    return found


def check_log(folder: RunFolder, recipe: Recipe, log: Log) -> None:
    """Refuse the log of another run."""
    found = run_on(log)
    if found is not None and folder.has_stored_id and found != folder.run_id:
        raise UsageError(
            f"{recipe.bus.place(folder.path)} holds the run {found}, {folder.path} is the folder "
            f"of {folder.run_id}: name the other folder with --dir, or the other log with --bus"
        )


def check_archive(folder: RunFolder, recipe: Recipe, log: Log) -> None:
    """Refuse to archive where another run does, or a copy of this one."""
    if recipe.retention.every_versions is None:
        return
    from observability.archive.keeper import FOLDER

    place = place_of(recipe.retention.archive or folder.path / FOLDER)
    if (found := manifest.read(place)) is None:
        return
    run, heads = folder.run_id if folder.exists else new_run_id(folder.path, recipe), log.heads()
    if found.run != run:
        whose = f"is the archive of run {found.run}, this is run {run}"
    elif ahead := [at for at, end in found.ends.items() if heads.get(at, 0) < end]:
        whose = f"has more of {name_of(ahead[0])} than this log, as the archive of a copy of it"
    else:
        return
    raise UsageError(f"{place} {whose}: name another with --set retention.archive=DIR")


def check_recovery(folder: RunFolder, recipe: Recipe, log: Log) -> str:
    """Refuse a log that lacks what its last version was trained on. What the trainer will set
    aside, in words; "" for nothing."""
    if not folder.has_learned:
        return ""
    known = agreed(folder.path, log)
    if known.head is not None and not rests_on(log, known.head):
        raise UsageError(
            f"{recipe.bus.place(folder.path)} is cut: it lacks a record that version "
            f"{known.head.version} was trained on; restore it"
        )
    return known.sentence
