"""Runs as the dashboard is given them: those in folders, and one on a broker without its folder."""

import atexit
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from time import monotonic
from typing import Any

from bus.bus import Bus
from bus.config import BusConfig, KafkaConfig, bus_from_url
from bus.errors import BusError
from evolvent.errors import UsageError
from evolvent.roles import NAMES, names_in
from evolvent.run import control, deaths
from evolvent.run.folder import RunFolder
from evolvent.watching import labels
from evolvent.watching.pieces import Pieces
from observability.dashboard.source import Refused, Source

_SIZE_SECONDS = 30.0
_DEPTH = 4


class FolderSource:
    """The run in a folder. Raises `UsageError` where there is none."""

    def __init__(self, folder: RunFolder, name: str) -> None:
        self._folder, self.id, self.path, self.cache = folder, name, folder.path, folder.replay
        self._size: tuple[float, int] | None = None
        self._read()

    def _read(self) -> None:
        folder = self._folder
        self._bus, self.run, self.roles = folder.bus(), folder.run_id, names_in(folder.settings)
        self.place, self._pieces = self._bus.place(folder.path), Pieces(folder.path)

    def open(self) -> Bus:
        try:
            if self._folder.run_id != self.run:
                self._read()
            return self._folder.opened(self._bus)
        except UsageError as error:
            raise BusError(str(error)) from None

    def identity(self) -> object:
        try:
            run = self._folder.run_id
        except UsageError as error:
            raise BusError(str(error)) from None
        with suppress(OSError):
            file = (self.path / "log.sqlite").stat()
            return run, file.st_dev, file.st_ino
        return (run,)

    def deaths(self) -> Mapping[str, Mapping[str, Any]]:
        return {who: asdict(death) for who, death in deaths.read(self._folder.logs).items()}

    def size(self) -> int | None:
        if self._size is None or monotonic() - self._size[0] > _SIZE_SECONDS:
            self._size = monotonic(), bytes_of(self.path)
        return self._size[1]

    def labels(self) -> Mapping[str, Any]:
        return labels.read(self.path)

    def label(self, tags: Sequence[str] | None, note: str | None) -> None:
        labels.write(self.path, tags, note)

    def pieces(self, tokens: Sequence[int]) -> list[str] | None:
        return self._pieces.of(tokens)

    async def tell(
        self, command: str, role: str | None, settings: Sequence[str]
    ) -> Mapping[str, Any]:
        try:
            if self._folder.run_id != self.run:
                raise Refused(f"the run in {self.path} is another one now: look at it first")
            if command == "objective":
                told = await control.new_objective(self._folder, settings)
            else:
                told = await control.tell(self._folder, command, role)
        except (UsageError, BusError) as error:
            raise Refused(str(error)) from None
        return {name: getattr(told, name) for name in ("id", "command", "role", "settings")}


class BusSource:
    """A run on a broker, whose folder is elsewhere: what stands there is not known here."""

    def __init__(self, bus: KafkaConfig, name: str) -> None:
        self._bus, self.id, self.run = bus, name, bus.app
        self.path = Path(bus.app)
        self.place, self.roles = bus.place(self.path), NAMES

    @cached_property
    def cache(self) -> Path:
        folder = tempfile.mkdtemp(prefix="evolvent-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        return Path(folder)

    def open(self) -> Bus:
        return self._bus.build(self.path, read_only=True)

    def identity(self) -> object:
        return None

    def deaths(self) -> Mapping[str, Mapping[str, Any]]:
        return {}

    def size(self) -> int | None:
        return None

    def labels(self) -> Mapping[str, Any]:
        return {"tags": [], "note": ""}

    def label(self, tags: Sequence[str] | None, note: str | None) -> None:
        raise Refused("tags and notes are kept in the folder of a run: open the dashboard on that")

    def pieces(self, tokens: Sequence[int]) -> list[str] | None:
        return None

    async def tell(
        self, command: str, role: str | None, settings: Sequence[str]
    ) -> Mapping[str, Any]:
        raise Refused("its roles are told by way of its folder: open the dashboard on that")


def sources(runs: Sequence[Path], bus: str | None, archive: str | None = None) -> list[Source]:
    """Those of the folders, or below them, and of the broker; of those below a folder, what is no
    whole run is left out, and told. Raises `UsageError`."""
    found: list[Source] = []
    for folder in runs:
        for run in runs_below(folder) or [folder]:
            name = _new_name(run.resolve().name, found)
            try:
                found.append(FolderSource(RunFolder(run, archive), name))
            except UsageError as error:
                if run == folder:
                    raise
                print(f"evolvent: left out: {error}", file=sys.stderr)
    if bus is not None:
        config = _kafka(bus)
        found.append(BusSource(config, _new_name(config.app, found)))
    if not found:
        raise UsageError("name the folder of a run, several, or --bus kafka://HOST:PORT/NAME")
    return found


def runs_below(directory: Path, depth: int = _DEPTH) -> list[Path]:
    """The run in a folder, or those in folders of it, by name."""
    if (directory / "recipe.json").exists():
        return [directory]
    if not depth:
        return []
    try:
        children = sorted(child for child in directory.iterdir() if child.is_dir())
    except OSError:
        return []
    return [run for child in children for run in runs_below(child, depth - 1)]


def _kafka(url: str) -> KafkaConfig:
    try:
        config: BusConfig = bus_from_url(url)
    except BusError as error:
        raise UsageError(str(error)) from None
    if not isinstance(config, KafkaConfig) or not config.app:
        raise UsageError(
            f"--bus {url}: name the run on the broker, as in kafka://127.0.0.1:9092/words; runs in "
            "folders are named by these"
        )
    return config


def _new_name(name: str, found: Sequence[Source]) -> str:
    """A name that addresses can hold, which no other run here has."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "-", name).strip(".") or "run"
    taken, number, new = {one.id for one in found}, 1, plain
    while new in taken:
        number += 1
        new = f"{plain}-{number}"
    return new


def bytes_of(folder: Path) -> int:
    size = 0
    for path in folder.rglob("*"):
        try:
            size += path.lstat().st_size
        except OSError:
            continue
    return size
