"""`evolvent upgrade`: the log of a run becomes what this evolvent writes, by one function per
transport. Knows no role.
"""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

from bus.config import BusConfig
from evolvent.run.copy_log import Show, check_at_rest
from evolvent.run.folder import RunFolder


def _upgrade_sqlite(run: Path, config: BusConfig, show: Show) -> bool:
    from bus.sqlite.upgrade import upgrade

    return upgrade(Path(config.place(run)), show)


def _nothing(run: Path, config: BusConfig, show: Show) -> bool:
    return False


UPGRADES: Mapping[str, Callable[[Path, BusConfig, Show], bool]] = {
    "sqlite": _upgrade_sqlite,
    "kafka": _nothing,
}
"""By the type of a run's bus: brings its log up to date, and says whether that was to be done."""


async def upgrade_run(path: Path, show: Show) -> bool:
    """Whether there was something to do. Raises `UsageError` and `BusError`: while somebody uses
    the run, among others."""
    folder = RunFolder(path)
    folder.check_whole()
    config = folder.bus()
    with folder.locked():
        async with folder.log() as bus:
            show("waiting until nobody works on the log", 0, 1)
            await check_at_rest(bus.log, str(path))
        return await asyncio.to_thread(UPGRADES[config.type], path, config, show)
