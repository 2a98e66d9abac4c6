"""Space that a run leaves free on its disk: below it nothing new is asked, so that what is under
way comes to its end and nothing is lost. Knows roles by name.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from bus.control import Switch
from observability.progress.disk import GB, free_bytes, size, whole_bytes

_RESERVE_GB = 1.0
_LOOK_SECONDS = 1.0
_HELD = {"proposer": 1.0, "trainer": 0.5}
"""Below which part of the reserve a role takes nothing new. The trainer goes on for as long as what
was asked before comes in, unless somebody else fills the disk."""

_log = logging.getLogger(__name__)


class DiskConfig(BaseModel):
    """`reserve_gb` of the disk of the run's folder, in 10^9 bytes, are left free: below it no task
    is proposed until there is room again; 0 means none. Where nothing is said they are 1, of a
    small disk a tenth of it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    reserve_gb: float | None = Field(default=None, ge=0)

    def reserve(self, run: Path) -> float:
        """In bytes, on the disk of the folder of a run."""
        if self.reserve_gb is not None:
            return self.reserve_gb * GB
        return min(_RESERVE_GB * GB, whole_bytes(run) / 10)


def reserve_of(settings: Mapping[str, Any], run: Path) -> float:
    """In bytes, of a run with these stored settings. Needs none of its plug-ins."""
    return DiskConfig.model_validate(settings.get("disk", {})).reserve(run)


class Reserve:
    """Watches the disk of the folder `path`, whose free space in bytes `free` tells."""

    def __init__(
        self, path: Path, config: DiskConfig, free: Callable[[Path], int] | None = None
    ) -> None:
        self._path, self._reserve = path, config.reserve(path)
        self._free = free or free_bytes
        self._switches: dict[str, Switch] = {}
        self._is_low = False

    def guard(self, role: str, switch: Switch) -> None:
        """Hold the switch of a role as long as there is too little room for what it does."""
        if role in _HELD and self._reserve:
            self._switches[role] = switch
            switch.hold(self._free(self._path) < _HELD[role] * self._reserve)

    async def watch(self) -> None:
        """For ever."""
        while True:
            self._look(await asyncio.to_thread(self._free, self._path))
            await asyncio.sleep(_LOOK_SECONDS)

    def _look(self, free: int) -> None:
        reserve = self._reserve
        for role, switch in self._switches.items():
            switch.hold(free < _HELD[role] * reserve)
        if self._switches and (free < reserve) != self._is_low:
            self._is_low = free < reserve
            _log.warning(
                "%s free, the reserve is %s: %s",
                size(free),
                size(reserve),
                "proposing waits for room" if self._is_low else "proposing goes on",
            )
