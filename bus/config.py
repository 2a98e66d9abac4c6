"""Which transports there are: what a recipe chooses from. Loads no driver."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from bus.bus import Bus


class SqliteConfig(BaseModel):
    """One file in the run's folder. `synchronous` FULL also survives a power cut, at the price
    of a disk flush per commit; NORMAL survives every crash of a process."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["sqlite"] = "sqlite"
    synchronous: Literal["NORMAL", "FULL"] = "NORMAL"

    def build(self, run: Path, *, create: bool = False, read_only: bool = False) -> Bus:
        """The log of a run; raises `BusError`."""
        from bus.sqlite import SqliteBus

        path = run / "log.sqlite"
        return SqliteBus(path, synchronous=self.synchronous, create=create, read_only=read_only)


BusConfig = SqliteConfig
