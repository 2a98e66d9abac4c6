"""A run whose log does not grow for ever: after every so many versions what it says is archived,
and what is archived and done leaves it. Knows no other role.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, model_validator

from bus.bus import Bus
from bus.errors import BusError
from bus.events import Event, Weights
from bus.log import Log
from trainer.checkpoint.files import locked

if TYPE_CHECKING:
    from observability.archive.keeper import Keeper

KEPT = 10_000
"""Records of a partition that stay, archived or not: roles look back so far."""

_log = logging.getLogger(__name__)


class RetentionConfig(BaseModel):
    """After every `every_versions` versions the log is archived at `archive`, "" for the folder
    `archive` of the run; None: never. Where it is to `trim`, all that is archived and done then
    leaves the log but for the newest `keep` records of each partition."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    every_versions: int | None = Field(default=None, gt=0)
    archive: str = ""
    trim: bool = True
    keep: int = Field(default=KEPT, gt=0)

    @model_validator(mode="after")
    def _says_when(self) -> "RetentionConfig":
        if self.every_versions is None and (self.archive or not self.trim or self.keep != KEPT):
            raise ValueError("nothing is archived without every_versions: say how often")
        if not self.trim and self.keep != KEPT:
            raise ValueError(f"keep = {self.keep} is of what is trimmed, and trim is false")
        return self


class Retention:
    """Weights in; the watermark out, where the archive has grown. What the log was trimmed of is in
    `log`; `say` is told what is being done. An archive that cannot be reached, or that another
    process is writing, is left for a later version: until then the log is longer."""

    def __init__(
        self,
        config: RetentionConfig,
        bus: Bus,
        log: Log,
        path: Path,
        run: str,
        say: Callable[[str], None] = lambda doing: None,
    ) -> None:
        self._config = config
        self._bus, self._whole = bus, log
        self._path, self._run = path, run
        self._say = say
        self._keeper: Keeper | None = None

    async def handle(self, event: Weights) -> Sequence[Event]:
        from observability.archive.keeper import LOCK
        from observability.archive.place import ArchiveError

        every = self._config.every_versions
        if every is None or event.number % every or await asyncio.to_thread(self._is_old, event):
            return []
        try:
            with locked(self._path / LOCK):
                return await self._keep()
        except BlockingIOError:
            _log.warning("another process is archiving %s: left to it", self._path)
        except (ArchiveError, OSError) as error:
            _log.warning("nothing is archived at version %d: %s", event.number, error)
        return []

    def _is_old(self, event: Weights) -> bool:
        """Whether one comes after it that is as good."""
        head = self._bus.log.heads()[Weights.topic, 0]
        [newest] = self._bus.log.read(Weights.topic, 0, head - 1, head)
        version = newest.headers.get("ce_modelversion", "")
        every = self._config.every_versions or 1
        return version.isdecimal() and int(version) - event.number >= every

    async def _keep(self) -> Sequence[Event]:
        """All that is there is archived; what lies below the watermark before leaves the log."""
        from observability.archive.keeper import Keeper
        from observability.archive.place import ArchiveError

        config, keeper, self._keeper = self._config, self._keeper, None
        if keeper is None:
            keeper = Keeper(self._bus, self._whole, self._path, self._run, config.archive or None)
        await keeper.archive(
            lambda what, done, whole: self._say(f"{what} {done:,} of {whole:,} events")
        )
        try:
            if config.trim and (gone := await keeper.trim(config.keep)):
                _log.info("%d events left the log", gone)
        except (ArchiveError, BusError) as error:
            _log.warning("nothing leaves the log: %s", error)
        due = await asyncio.to_thread(keeper.due)
        self._keeper = keeper
        return [] if due is None else [due]
