"""The log of a run, reached and compared with the run's folder before anything is written to it.
Knows no role.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from bus.bus import Bus
from bus.errors import Unreachable, Unreadable
from bus.events import Control, derive_id
from evolvent.errors import UsageError
from evolvent.own_model import check_model
from evolvent.recipe.recipe import Recipe
from evolvent.run.folder import RunFolder
from trainer.checkpoint.manifest import checkpoint_folders, read_manifest

_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 10.0

_log = logging.getLogger(__name__)


def prepare(folder: RunFolder, recipe: Recipe | None) -> Recipe:
    """What the run in `folder` is to be started with: `recipe` where it is new, or where it is
    the same run; raises `UsageError`."""
    if not folder.exists:
        if recipe is None:
            raise UsageError(f"{folder.path} is not a run: name a recipe to start one there")
        return recipe.model_copy(update={"bus": recipe.bus.named(folder.path)})
    stored = folder.recipe()
    if recipe is None:
        return stored
    if recipe.digest != stored.digest:
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
    return stored.gone_on_with(recipe)


@asynccontextmanager
async def opened(folder: RunFolder, recipe: Recipe) -> AsyncIterator[Bus]:
    """The log of a run about to start. A new run gets its folder once its log is there, so that
    nothing stays behind of a start that did not reach it. Raises `UsageError`."""
    new = not folder.exists
    if new:
        folder.check_free()
        if recipe.model.path is not None:
            check_model(recipe.model.path)
    async with folder.log(recipe.bus, writable=True) as bus:
        if new:
            if any(bus.heads().values()):
                raise UsageError(
                    f"{recipe.bus.place(folder.path)} holds the run {run_on(bus)} already, and "
                    f"{folder.path} is not its folder: name that with --dir, or choose another "
                    "name for the new run"
                )
            folder.create(recipe)
        else:
            check_log(folder, recipe, bus)
            folder.store(recipe)
        yield bus


def joined(folder: RunFolder, recipe: Recipe, bus: Bus) -> None:
    """Make one more process part of the run on the log; its folder may be its own."""
    if folder.exists:
        check_log(folder, recipe, bus)
        return
    start = _first_start(bus)
    if start is not None and Recipe.model_validate(start.settings).digest != recipe.digest:
        raise UsageError(
            f"{recipe.bus.place(folder.path)} was started with another recipe or other settings "
            f"({start.settings['name']}, seed {start.seed}): choose another name for the run"
        )
    folder.create(recipe, run_id=run_on(bus))


async def reached(build: Callable[[], Bus], stop: asyncio.Event) -> Bus | None:
    """The log, however long its broker is away; None when stopped. Raises `BusError`."""
    pause = _FIRST_PAUSE_SECONDS
    while not stop.is_set():
        try:
            return await asyncio.to_thread(build)
        except Unreachable as error:
            _log.warning("waiting for the broker, again in %g s: %s", pause, error)
        try:
            await asyncio.wait_for(stop.wait(), pause)
        except TimeoutError:
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
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
    )


def run_on(bus: Bus) -> str | None:
    """The run whose events are on the log, None while there are none."""
    heads = bus.heads()
    for topic in ("control", "weights"):
        for record in bus.read(topic, end=min(1, heads[topic, 0])):
            try:
                return record.event().run
            except Unreadable:
                continue
    return None


def _first_start(bus: Bus) -> Control | None:
    for record in bus.read("control"):
        try:
            event = record.event()
        except Unreadable:
            continue
        if isinstance(event, Control) and event.command == "start":
            return event
    return None


def check_log(folder: RunFolder, recipe: Recipe, bus: Bus) -> None:
    """Refuse the log of another run, and one that is behind its checkpoints; nothing is repaired
    silently."""
    place = recipe.bus.place(folder.path)
    found = run_on(bus)
    if found is not None and folder.has_stored_id and found != folder.run_id:
        raise UsageError(
            f"{place} holds the run {found}, {folder.path} is the folder of {folder.run_id}: name "
            "the other folder with --dir, or the other log with --bus"
        )
    manifests = [read_manifest(path) for path in list(checkpoint_folders(folder.path))[-1:]]
    heads = bus.heads()
    for manifest in manifests:
        if manifest.version > heads["weights", 0]:
            raise UsageError(
                f"{place} went back: it ends before version {heads['weights', 0]}, the "
                f"checkpoints at version {manifest.version}; restore it"
            )
        for consumed in manifest.consumed:
            if consumed.offset >= heads[consumed.topic, consumed.partition]:
                raise UsageError(
                    f"{place} is cut: {consumed.topic} ends before a record that version "
                    f"{manifest.version} was trained on; restore it"
                )
