"""A run's folder: what lies in it, who may use it. Knows no role.

RUN/recipe.json   the recipe and seed it was started with    RUN/log.sqlite   the event log
RUN/checkpoints/  one folder per version                     RUN/report/      pictures, page
RUN/logs/         one file per process                       RUN/lock         held while it runs
"""

import errno
import fcntl
import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from pydantic import ValidationError

from bus.bus import Bus, BusError
from evolvent.errors import UsageError
from evolvent.recipe import Recipe, explain
from trainer.manifest import checkpoint_folders

_FORMAT = 1


class RunFolder:
    """Paths of one run, and its recipe. Raises `UsageError` for whatever a user can mend."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.recipe_file = path / "recipe.json"
        self.logs = path / "logs"
        self.report = path / "report"

    @property
    def exists(self) -> bool:
        return self.recipe_file.exists()

    def recipe(self) -> Recipe:
        """The recipe that the run was started with."""
        try:
            stored = json.loads(self.recipe_file.read_bytes())
            if stored["format"] > _FORMAT:
                raise UsageError(f"{self.path} was written by a newer evolvent; use that one")
            return Recipe.model_validate(stored["recipe"])
        except FileNotFoundError:
            raise UsageError(
                f"{self.path} is not a run: start one with `evolvent run --dir {self.path}`"
            ) from None
        except ValidationError as error:
            raise UsageError(f"{self.recipe_file} is damaged: {explain(error)}") from None
        except (ValueError, KeyError, TypeError):
            raise UsageError(f"{self.recipe_file} is damaged: it is not a stored recipe") from None
        except OSError as error:
            raise UsageError(f"{self.recipe_file} cannot be read: {error.strerror}") from None

    @property
    def run_id(self) -> str:
        """The name of the run in its events: the folder's name and the recipe's digest."""
        return f"{self.path.resolve().name}-{self.recipe().digest[:8]}"

    def create(self, recipe: Recipe) -> None:
        """Make the folder of a new run; an old one is left as it is."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            if any(child.name not in ("lock", "logs") for child in self.path.iterdir()):
                raise UsageError(f"{self.path} is not empty and no run: choose another --dir")
            self.logs.mkdir(exist_ok=True)
            stored = {"format": _FORMAT, "recipe": recipe.model_dump(mode="json")}
            aside = self.path / ".recipe.json"
            aside.write_text(json.dumps(stored, indent=1), encoding="utf-8")
            aside.rename(self.recipe_file)
        except OSError as error:
            raise UsageError(f"{self.path} cannot be written: {error.strerror}") from None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run: only one `evolvent run` at a time. Freed by the end of the process."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise UsageError(f"{self.path} cannot be written: {error.strerror}") from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EAGAIN):
                raise
            raise UsageError(f"another evolvent is running {self.path}: stop it first") from None
        finally:
            os.close(descriptor)

    @property
    def has_learned(self) -> bool:
        """Whether there is a checkpoint: then the log must be there too."""
        return any(checkpoint_folders(self.path))

    @asynccontextmanager
    async def log(self, *, writable: bool = False) -> AsyncIterator[Bus]:
        """The run's log; raises `UsageError` when it cannot be used."""
        create = writable and not self.has_learned
        try:
            bus = self.recipe().bus.build(self.path, create=create, read_only=not writable)
            try:
                yield bus
            finally:
                await bus.close()
        except BusError as error:
            raise UsageError(str(error)) from None
