"""A run's folder: what lies in it, who may use it. Knows no role.

RUN/recipe.json   the recipe it was started with, its id     RUN/log.sqlite   the log, or a broker
RUN/checkpoints/  one folder per version                     RUN/report/      pictures, page
RUN/logs/         one file per process                       RUN/lock         held while it runs
RUN/hands/        what each process is working on     RUN/replay/      states at positions, a cache
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from pydantic import ValidationError

from bus.bus import Bus
from bus.config import BusConfig
from bus.errors import BusError
from bus.events import Plugin
from bus.hands import Hands
from bus.log import Log
from evolvent.errors import UsageError, needs_archive
from evolvent.plugins import installed
from evolvent.recipe.digest import former_digests
from evolvent.recipe.explain import explain
from evolvent.recipe.load import read_bus
from evolvent.recipe.recipe import Recipe
from observability.archive.place import place_of
from trainer.checkpoint.files import locked, make_folder, sync
from trainer.checkpoint.manifest import checkpoint_folders, read_manifest

if TYPE_CHECKING:
    from observability.archive.keeper import Found
    from observability.archive.log import ArchiveLog

_FORMAT = 1
_KEEP_ALL = {"checkpoints": {"keep_every": 1}}
"""A run that was started before versions were thinned out keeps every one."""
_PATH_BYTES = 3500
"""Most systems take 4096, and files of the run lie below."""


class RunFolder:
    """Paths of one run, and its recipe. Where an `archive` is named, the log is read from there.
    Raises `UsageError` for whatever a user can mend."""

    def __init__(self, path: Path, archive: str | None = None) -> None:
        check_name(path)
        self.path = path
        self._archive = archive
        self.recipe_file = path / "recipe.json"
        self.copying_file = path / "copying.json"
        self.logs = path / "logs"
        self.report = path / "report"
        self.replay = path / "replay"

    @property
    def exists(self) -> bool:
        return self.recipe_file.exists()

    def recipe(self) -> Recipe:
        """The recipe that the run was started with; raises `UsageError` without its plug-ins."""
        plugins = installed()
        plugins.check_same(self.plugins, str(self.path))
        try:
            return plugins.recipe.model_validate(self.settings)
        except ValidationError as error:
            said = explain(error, plugins.recipe)
            raise UsageError(f"{self.recipe_file} is damaged: {said}") from None

    @property
    def plugins(self) -> tuple[Plugin, ...]:
        """What the run uses from outside of evolvent."""
        try:
            stored = self._stored().get("plugins", [])
            return tuple(Plugin.model_validate(plugin) for plugin in stored)
        except (ValidationError, TypeError):
            raise UsageError(f"{self.recipe_file} is damaged: it names no plug-ins") from None

    def bus(self) -> BusConfig:
        """Where the run has its log. Needs none of its plug-ins."""
        try:
            return read_bus(self.settings)
        except (ValidationError, KeyError):
            raise UsageError(f"{self.recipe_file} is damaged: it names no bus") from None

    @property
    def settings(self) -> dict[str, Any]:
        """The recipe as it is stored, whatever its parts are."""
        settings = self._stored()["recipe"]
        if not isinstance(settings, dict):
            raise UsageError(f"{self.recipe_file} is damaged: it holds no recipe")
        return _KEEP_ALL | settings

    @property
    def run_id(self) -> str:
        """The name of the run in its events, whatever the folder is called now."""
        if named := self._stored().get("run_id"):
            return str(named)
        for checkpoint in reversed(list(checkpoint_folders(self.path))):
            return read_manifest(checkpoint).weights.run
        [digest] = former_digests(self._stored()["recipe"])
        return f"{self.bus().name(self.path)}-{digest[:8]}"

    @property
    def has_stored_id(self) -> bool:
        """Folders of the first format may hold a log under an id that stands nowhere else."""
        return "run_id" in self._stored()

    def check_whole(self) -> None:
        """Raises `UsageError` when a copy or a fork into this folder has not come to its end."""
        if self.copying_file.exists():
            raise UsageError(
                f"the copy into {self.path} is not finished: give the same `evolvent copy` or "
                "`evolvent fork` again"
            )

    def check_free(self) -> None:
        """Raises `UsageError` when a new run cannot be made here."""
        self.check_whole()
        try:
            make_folder(self.path)
            strangers = [child.name for child in self.path.iterdir() if not _is_ours(child.name)]
        except OSError as error:
            raise UsageError(f"{self.path} cannot be written: {error.strerror}") from None
        if strangers and not self.exists:
            raise UsageError(f"{self.path} is not empty and no run: choose another --dir")

    def create(self, recipe: Recipe, run_id: str | None = None) -> None:
        """Make the folder of a run unless another process has just made the same."""
        self.check_free()
        recipe = recipe.model_copy(update={"bus": recipe.bus.named(self.path)})
        self._write(recipe, run_id or new_run_id(self.path, recipe), only_new=True)
        if self.recipe().digest != recipe.digest:
            raise UsageError(f"{self.path} has just been started with another recipe")

    def store(self, recipe: Recipe) -> None:
        """What the run goes on with from now on."""
        if recipe != self.recipe():
            self._write(recipe, self.run_id, only_new=False)

    def _write(self, recipe: Recipe, run_id: str, *, only_new: bool) -> None:
        stored = stored_as(recipe, run_id)
        aside = self.path / f".recipe.{uuid4().hex}.json"
        try:
            make_folder(self.logs)
            aside.write_text(json.dumps(stored, indent=1), encoding="utf-8")
            sync(aside)
            if only_new:
                with suppress(FileExistsError):
                    os.link(aside, self.recipe_file)
                aside.unlink()
            else:
                aside.rename(self.recipe_file)
            sync(self.path)
        except OSError as error:
            raise UsageError(f"{self.path} cannot be written: {error.strerror}") from None

    def _stored(self) -> dict[str, Any]:
        try:
            stored = json.loads(self.recipe_file.read_bytes())
            newer = stored["format"] > _FORMAT
        except FileNotFoundError:
            self.check_whole()
            raise UsageError(
                f"{self.path} is not a run: start one with `evolvent run --dir {self.path}`"
            ) from None
        except (ValueError, KeyError, TypeError, RecursionError):
            raise UsageError(f"{self.recipe_file} is damaged: it is not a stored recipe") from None
        except OSError as error:
            raise UsageError(f"{self.recipe_file} cannot be read: {error.strerror}") from None
        if newer:
            raise UsageError(f"{self.path} was written by a newer evolvent; use that one")
        if not isinstance(stored, dict) or "recipe" not in stored:
            raise UsageError(f"{self.recipe_file} is damaged: it is not a stored recipe")
        return stored

    @contextmanager
    def locked(self, file: str = "lock", doing: str = "running") -> Iterator[None]:
        """Hold the run: only one `evolvent run` at a time, or whatever is `doing` under a file of
        its own. Freed by the end of the process."""
        with ExitStack() as stack:
            try:
                make_folder(self.path)
                stack.enter_context(locked(self.path / file))
            except BlockingIOError:
                raise UsageError(
                    f"another evolvent is {doing} {self.path}: stop it first"
                ) from None
            except OSError as error:
                raise UsageError(f"{self.path} cannot be written: {error.strerror}") from None
            yield

    def hands(self, name: str, recipe: Recipe) -> Hands:
        """What the processes of a name have in hand, remembered in the folder."""
        try:
            return Hands(self.path / "hands", name, recipe.run.handle_seconds)
        except OSError as error:
            raise UsageError(f"{self.path} cannot be written: {error.strerror}") from None

    @property
    def has_learned(self) -> bool:
        """Whether there is a checkpoint: then the log must be there too."""
        return any(checkpoint_folders(self.path))

    def build_log(self, bus: BusConfig, *, writable: bool) -> Bus:
        """The run's log on `bus`; raises `BusError`. Checkpoints without a log make none."""
        create = writable and not self.has_learned
        return bus.build(self.path, create=create, read_only=not writable)

    def opened(self, bus: BusConfig, *, writable: bool = False) -> Bus:
        """The run's log; for reading with what was trimmed of it, or what was archived alone.
        Raises `BusError`."""
        from observability.archive.bus import ReadBus

        if self._archive is not None and not writable:
            return ReadBus(self._archive_at(self._archive))
        opened = self.build_log(bus, writable=writable)
        if writable or not opened.log.starts():
            return opened
        return ReadBus(self.whole(opened.log), opened)

    def _archive_at(self, location: str) -> "ArchiveLog":
        try:
            from observability.archive.archive import opened
            from observability.archive.log import ArchiveLog
        except ModuleNotFoundError as error:
            raise needs_archive(error) from None
        return ArchiveLog(opened(place_of(location), self.run_id))

    def newest_archive(self, log: Log) -> "Found":
        """The archive that a log of the run names last, of those that are there. Raises
        `ArchiveError`."""
        try:
            from observability.archive.keeper import newest_archive
        except ModuleNotFoundError as error:
            raise needs_archive(error) from None
        return newest_archive(self.path, self.run_id, log)

    def whole(self, log: Log) -> Log:
        """A log of the run with what was trimmed of it, from the archive that it names."""
        from observability.archive.together import TogetherLog

        return TogetherLog(log, lambda: self.newest_archive(log)[1])

    @asynccontextmanager
    async def log(
        self, bus: BusConfig | None = None, *, writable: bool = False
    ) -> AsyncIterator[Bus]:
        """The run's log; raises `UsageError` when it cannot be used."""
        try:
            opened = await asyncio.to_thread(self.opened, bus or self.bus(), writable=writable)
            try:
                yield opened
            finally:
                await opened.close()
        except BusError as error:
            raise UsageError(str(error)) from None


def stored_as(recipe: Recipe, run_id: str) -> dict[str, Any]:
    """What a folder says of its run."""
    stored = {"format": _FORMAT, "run_id": run_id, "recipe": recipe.model_dump(mode="json")}
    if plugins := installed().used_by(recipe):
        stored["plugins"] = [plugin.model_dump(mode="json") for plugin in plugins]
    return stored


def check_name(path: Path) -> None:
    """Raises `UsageError` for a path that events, messages or the disk cannot hold."""
    name, shown = str(path), ascii(str(path))
    if not name.isprintable():
        raise UsageError(
            f"{shown[:200]}: choose a folder whose name is text without odd characters"
        )
    if len(name.encode()) > _PATH_BYTES or any(len(p.encode()) > 255 for p in path.parts):
        raise UsageError(
            f"{shown[:60]}… is too long for the name of a folder: choose a shorter one"
        )


def new_run_id(path: Path, recipe: Recipe) -> str:
    """The same for all who start the run: its name on the log and the recipe's digest."""
    return f"{recipe.bus.name(path)}-{recipe.digest[:8]}"


def _is_ours(name: str) -> bool:
    """What lies in a folder before it is a run's."""
    return name in ("lock", "logs") or name.startswith((".recipe.", "log.sqlite"))
