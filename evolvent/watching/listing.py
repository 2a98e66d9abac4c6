"""The runs below a folder, each in a few words. Only their logs are read."""

import asyncio
import fcntl
import os
from pathlib import Path
from typing import Any

from bus.errors import BusError
from bus.log import Log
from evolvent.commands.options import known_of
from evolvent.errors import UsageError
from evolvent.run.folder import RunFolder
from evolvent.watching import labels
from evolvent.watching.sources import bytes_of, runs_below
from observability.archive.place import ArchiveError
from observability.progress.status import as_json

_KEPT = ("recipe", "seed", "version", "versions", "held_out", "held_out_interval", "started_at")


async def listing(directory: Path) -> list[dict[str, Any]]:
    """Raises `UsageError`."""
    return [await _run(path) for path in await asyncio.to_thread(_runs, directory)]


def _runs(directory: Path) -> list[Path]:
    if not directory.is_dir():
        raise UsageError(f"{directory} is not a folder: name one with runs")
    if not (found := runs_below(directory)):
        raise UsageError(f"there is no run below {directory}: `evolvent run` starts one")
    return found


async def _run(path: Path) -> dict[str, Any]:
    """One that cannot be read says why."""
    said: dict[str, Any] = {"path": str(path), "state": "unreachable", "error": None}
    said |= dict.fromkeys((*_KEPT, "run", "best", "best_version", "events"))
    said |= {"bytes": bytes_of(path), **labels.read(path)}
    try:
        folder = RunFolder(path)
        said["run"] = folder.run_id
        async with folder.log() as bus:
            return said | await asyncio.to_thread(_known, folder, bus.log)
    except (UsageError, BusError, ArchiveError) as error:
        return said | {"error": str(error)}


def _known(folder: RunFolder, log: Log) -> dict[str, Any]:
    progress = known_of(log)
    said = as_json(progress)
    held_out = [one for one in said["curve"] if one["held_out"] is not None]
    best = max(held_out, key=lambda one: float(one["held_out"]), default=None)
    state = "running" if _is_held(folder.path / "lock") else "idle"
    if state == "running" and progress.groups and len(progress.paused) == len(progress.groups):
        state = "paused"
    if state == "idle" and progress.groups and len(progress.stopped) == len(progress.groups):
        state = "stopped"
    return {
        **{name: said[name] for name in _KEPT},
        "state": state,
        "events": sum(said["counts"].values()),
        "best": best and best["held_out"],
        "best_version": best and best["version"],
    }


def _is_held(lock: Path) -> bool:
    """Whether an `evolvent run` goes on there."""
    try:
        descriptor = os.open(lock, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
