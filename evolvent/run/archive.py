"""The archive of a run as commands make it, and what then may leave the log (`evolvent archive`,
`evolvent trim`). Knows no role.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass

from bus.bus import Bus
from evolvent.run.folder import RunFolder
from observability.archive.archivist import Show
from observability.archive.keeper import LOCK, Keeper, Trimmed
from observability.archive.keeper import trim as trimmed


@dataclass(frozen=True, slots=True, kw_only=True)
class Archived:
    """What an archive holds, and the digest over its files."""

    location: str
    events: int
    files: int
    bytes: int
    digest: str


async def archive_run(
    folder: RunFolder,
    location: str | None,
    show: Show,
    *,
    every_seconds: float | None = None,
    stop: asyncio.Event | None = None,
) -> Archived:
    """Write all that the log of a run says into its archive: once, or every so many seconds until
    `stop` is set. Raises `UsageError`, `ArchiveError`."""
    stop = stop or asyncio.Event()
    with folder.locked(LOCK, "archiving"):
        async with folder.log(writable=True) as bus:
            keeper = Keeper(bus, folder.whole(bus.log), folder.path, folder.run_id, location)
            while await _pass(keeper, bus, show, stop) and every_seconds is not None:
                with suppress(TimeoutError):
                    async with asyncio.timeout(every_seconds):
                        await stop.wait()
            found = keeper.manifest
    files = (*found.files, *found.tables)
    return Archived(
        location=str(keeper.place),
        events=sum(found.ends.values()),
        files=len(files),
        bytes=sum(file.size for file in files),
        digest=found.digest(),
    )


async def _pass(keeper: Keeper, bus: Bus, show: Show, stop: asyncio.Event) -> bool:
    """All that is there, and the word of it; False once told to stop."""
    if not await keeper.archive(show, stop.is_set):
        return False
    if (due := await asyncio.to_thread(keeper.due)) is not None:
        await bus.publish([due])
        # Once more, and not until nothing comes: a run that goes on says something always.
        await keeper.archive(show, stop.is_set)
    return not stop.is_set()


async def trim(folder: RunFolder, kept: int, *, dry: bool) -> Trimmed:
    """Remove what is archived and done from the log of a run, but for the newest `kept` records of
    each partition. Raises `UsageError`, `ArchiveError`."""
    async with folder.log(writable=True) as bus:
        return await trimmed(bus, folder.whole(bus.log), folder.newest_archive, kept, dry=dry)
