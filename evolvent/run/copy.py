"""`evolvent copy`: a run with everything it has, in another folder and on another bus. Knows no
role.

    locks -> the target's log begins alike -> TARGET/copying.json (from here on it is no run)
        -> checkpoints -> events -> cursors -> compared, audited -> renamed to recipe.json

Killed anywhere, the same command goes on. The source is only read.
"""

import asyncio
import json
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bus.config import BusConfig, KafkaConfig, SqliteConfig
from bus.errors import Fenced
from bus.log import Log
from evolvent.errors import UsageError
from evolvent.recipe.load import changed_bus
from evolvent.run.copy_log import (
    Show,
    check_at_rest,
    check_begins_alike,
    check_equal,
    copy_cursors,
    copy_records,
)
from evolvent.run.folder import RunFolder
from trainer.checkpoint.files import make_folder, sync, write_synced
from trainer.checkpoint.manifest import (
    CHECKPOINTS,
    DamagedCheckpoint,
    checkpoint_folders,
    is_thinned,
    read_manifest,
    verify_files,
)

_TRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """What the target holds now, and where its log lies."""

    checkpoints: int
    events: int
    groups: int
    place: str


async def copy_run(
    here: RunFolder, target: Path, bus: str, settings: Sequence[str], show: Show
) -> Copied:
    """Copy the run in `here` to the folder `target` and the bus at URL `bus`. `settings` are of
    the section `bus`. Raises `UsageError`, `BusError`, `DamagedCheckpoint`."""
    if foreign := [one for one in settings if not one.startswith("bus.")]:
        raise UsageError(f"--set {foreign[0]}: a copy keeps its recipe; only bus.* may be set")
    there = RunFolder(target)
    config = changed_bus(here.settings, settings, bus).named(target)
    config = partitioned_alike(config, here.bus(), settings)
    check_apart(here.path, target)
    with ExitStack() as locks:
        locks.enter_context(here.locked())
        locks.enter_context(there.locked())
        try:
            return await _copy(here, there, config, show)
        except Fenced:
            raise UsageError(f"somebody else uses {config.place(target)}: stop it") from None


async def _copy(here: RunFolder, there: RunFolder, config: BusConfig, show: Show) -> Copied:
    stored = {**json.loads(here.recipe_file.read_bytes()), "run_id": here.run_id}
    stored["recipe"] = {**here.settings, "bus": config.model_dump(mode="json")}
    _check_folder(here, there, stored)
    async with here.log() as source:
        await check_other_log(here, config, there.path)
        show("waiting until nobody works on the log", 0, 1)
        await check_at_rest(source.log, str(here.path))
        folders = list(checkpoint_folders(here.path))
        return await transferred(source.log, here, folders, there, config, stored, show)


async def transferred(
    source: Log,
    here: RunFolder,
    folders: Sequence[Path],
    there: RunFolder,
    config: BusConfig,
    stored: dict[str, Any],
    show: Show,
    check: Callable[[], None] = lambda: None,
) -> Copied:
    """All that the log `source` holds, and these checkpoints of the run in `here`, in `there`;
    `stored` is what the folder says of the run in the end. What was begun goes on. The checkpoints
    are there when `check` is called."""
    place = config.place(there.path)
    async with AsyncExitStack() as logs:
        target = await asyncio.to_thread(_durable(config).build, there.path, create=True)
        logs.push_async_callback(target.close)
        await check_at_rest(target.log, place)
        await asyncio.to_thread(check_begins_alike, source, target.log, place, show)
        _begin(there, stored)
        await asyncio.to_thread(_copy_checkpoints, here.path, folders, there.path, show)
        check()
        events = await copy_records(source, target, show)
        await copy_cursors(source, target, show)
        await asyncio.to_thread(check_equal, source, target.log, show)
        await _audit(target.log, here.path, there.path, show)
        groups = len(await asyncio.to_thread(source.groups))
    there.copying_file.rename(there.recipe_file)
    sync(there.path)
    checkpoints = len(list(checkpoint_folders(there.path)))
    return Copied(checkpoints=checkpoints, events=events, groups=groups, place=place)


def partitioned_alike(config: BusConfig, source: BusConfig, settings: Sequence[str]) -> BusConfig:
    """Each record goes to its own offset: a copy has the partitions of its source."""
    said = any(one.partition("=")[0] == "bus.partitions" for one in settings)
    if said and config.partitions != source.partitions:
        raise UsageError(
            f"--set bus.partitions={config.partitions}: a copy has the partitions of its source, "
            f"which are {source.partitions}; leave it out"
        )
    return config.model_copy(update={"partitions": source.partitions})


def _durable(config: BusConfig) -> BusConfig:
    """What is said to be copied survives a power cut."""
    if isinstance(config, SqliteConfig):
        return config.model_copy(update={"synchronous": "FULL"})
    return config


def check_apart(source: Path, target: Path) -> None:
    one, other = source.resolve(), target.resolve()
    if one == other:
        raise UsageError(f"{target} is the run itself: choose another folder")
    if one.is_relative_to(other) or other.is_relative_to(one):
        raise UsageError(f"{target} and {source} lie one within the other: choose another folder")


def _check_folder(here: RunFolder, there: RunFolder, stored: dict[str, Any]) -> None:
    """It is empty, or holds this run on this bus, whole or half copied."""
    begun = there.copying_file
    if not begun.exists() and not there.exists:
        there.check_free()
        return
    try:
        known = json.loads((begun if begun.exists() else there.recipe_file).read_bytes())
        if (known["run_id"], known["recipe"]) == (stored["run_id"], stored["recipe"]):
            ours = {path.name for path in checkpoint_folders(here.path)}
            if all(path.name in ours for path in checkpoint_folders(there.path)):
                return
            raise UsageError(f"{there.path} has learned more than {here.path}: choose another")
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise UsageError(
        f"{there.path} holds another run, or this one on another bus: choose another folder"
    )


async def check_other_log(here: RunFolder, target: BusConfig, to: Path) -> None:
    """Two names of one log would have it copied into itself. Raises `UsageError`."""
    source, at = here.bus(), here.path
    if not (isinstance(source, KafkaConfig) and isinstance(target, KafkaConfig)):
        return
    clusters = []
    for cluster in (source.cluster(at), target.cluster(to)):
        async with cluster.admin() as admin:
            clusters.append((cluster.app, (await admin.describe_cluster())["cluster_id"]))
    if clusters[0] == clusters[1]:
        raise UsageError(
            f"{target.place(to)} is the source's own log: name another, as in kafka://host:port/"
            f"{source.name(at)}-copy"
        )


def _begin(there: RunFolder, stored: dict[str, Any]) -> None:
    begun = there.copying_file
    make_folder(there.logs)
    if there.exists:
        there.recipe_file.rename(begun)
    elif not begun.exists():
        write_synced(begun, json.dumps(stored, indent=1))


def _copy_checkpoints(source: Path, folders: Sequence[Path], target: Path, show: Show) -> None:
    for number, folder in enumerate(folders):
        show("checkpoints", number, len(folders))
        copied = target / folder.relative_to(source)
        if copied.exists():
            continue
        aside = copied.with_name(f".{copied.name}")
        make_folder(aside.parent)
        for tries_left in reversed(range(_TRIES)):
            shutil.rmtree(aside, ignore_errors=True)
            try:
                _copy_checkpoint(folder, aside)
                break
            except (OSError, DamagedCheckpoint):
                # Where a run is on the move its trainer may just thin a version out.
                if not tries_left:
                    raise
        aside.rename(copied)
    if folders:
        sync(target / CHECKPOINTS)


def _copy_checkpoint(folder: Path, aside: Path) -> None:
    shutil.copytree(folder, aside, copy_function=_link_or_copy)
    manifest = read_manifest(aside)
    # Old checkpoints have lost what training resumes from, and by rule all but their manifest.
    state = manifest.state if (aside / "state").is_dir() else {}
    files = {} if is_thinned(aside) else manifest.files
    verify_files(aside, {**files, **state})
    for path in (*aside.rglob("*"), aside):
        sync(path)


def _link_or_copy(source: str, target: str) -> None:
    """Files of a checkpoint are never changed, so two runs may share them."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


async def _audit(target: Log, source: Path, path: Path, show: Show) -> None:
    from observability.audit.audit import audit

    show("audit", 0, 1)
    found = await asyncio.to_thread(audit, target, path)
    if not found.ok:
        raise UsageError(
            f"the copy is whole, but its audit finds: {found.violations[0]}; look at "
            f"`evolvent audit {source}`"
        )
