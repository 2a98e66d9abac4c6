"""The archive of a run: who writes it, its watermark on the log, and what then may leave the log
(`evolvent archive`, `evolvent trim`). Knows no role.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bus.bus import Bus
from bus.events import Watermark, derive_id
from bus.groups import Stream, name_of
from bus.log import Cut, Log
from bus.topics import TOPICS
from evolvent.errors import UsageError
from evolvent.run.folder import RunFolder
from observability.archive import manifest
from observability.archive.archivist import Archivist
from observability.archive.place import ArchiveError, Place, place_of
from observability.archive.watermark import newest_watermark

if TYPE_CHECKING:
    from observability.archive.log import ArchiveLog

AGENT = "archivist"
FOLDER = "archive"
"""Of a run, where nobody says another."""

KEPT = 10_000
"""Records of a partition that stay, archived or not: roles look back so far."""

_LONG = {topic.name for topic in TOPICS.values() if topic.partitions > 1}
"""Topics that make a log long."""

Show = Callable[[str, int, int], None]
"""What is being done, how much of it, and of how much."""


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
    run_id = folder.run_id
    place = place_of(location or folder.path / FOLDER)
    with folder.locked("archive.lock", "archiving"):
        async with folder.log(writable=True) as bus:
            said = _named(folder.path, place)
            await asyncio.to_thread(_check_whole, bus.log, place, said)
            archivist = await asyncio.to_thread(Archivist, folder.whole(bus.log), place, run_id)
            while await _pass(bus, archivist, said, show, stop) and every_seconds is not None:
                with suppress(TimeoutError):
                    async with asyncio.timeout(every_seconds):
                        await stop.wait()
    found = archivist.manifest
    return Archived(
        location=str(place),
        events=sum(found.ends.values()),
        files=len(found.files),
        bytes=sum(file.size for file in found.files),
        digest=found.digest(),
    )


def _check_whole(log: Log, place: Place, location: str) -> None:
    """An archivist removes files that the manifest does not name: not those that hold alone what
    was trimmed. Raises `ArchiveError`."""
    mark = newest_watermark(log)
    if mark is None or mark.location != location:
        return
    found = manifest.read(place)
    ends = {} if found is None else found.ends
    for stream, first in log.starts().items():
        if ends.get(stream, 0) < first:
            raise ArchiveError(
                f"the log was trimmed up to {name_of(stream)}/{first}, which {manifest.FILE} of "
                f"{place} does not name: restore that file from a copy; nothing was removed"
            )


async def _pass(
    bus: Bus, archivist: Archivist, location: str, show: Show, stop: asyncio.Event
) -> bool:
    """All that is there, and the word of it; False once told to stop."""
    while await asyncio.to_thread(archivist.catch_up, show, stop.is_set):
        due = await asyncio.to_thread(_due, bus.log, archivist, location)
        if due is None:
            return not stop.is_set()
        await bus.publish([due])
    return False


def _due(log: Log, archivist: Archivist, location: str) -> Watermark | None:
    """The watermark, where the last one said something else. It does not speak of its own topic,
    which every one of them makes longer."""
    archived, topic = archivist.manifest, Watermark.topic
    digest, ends = archived.digest(without=topic), archived.named_ends()
    before = newest_watermark(log, location)
    if not ends or (before is not None and before.digest == digest):
        return None
    return Watermark(
        id=derive_id(archived.run, AGENT, f"{location}/{digest}"),
        run=archived.run,
        agent=AGENT,
        location=location,
        ends={name: end for name, end in ends.items() if name != f"{topic}/0"},
        digest=digest,
    )


def _named(run: Path, place: Place) -> str:
    """An archive as its watermark names it: relative to the run where it lies within."""
    if "://" in str(place):
        return str(place)
    path = Path(str(place)).resolve()
    return str(path.relative_to(run.resolve()) if path.is_relative_to(run.resolve()) else path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trimmed:
    """Of each partition that gets shorter its new beginning, and how many records go."""

    below: dict[str, int]
    events: int


async def trim(folder: RunFolder, kept: int, *, dry: bool) -> Trimmed:
    """Remove of tasks, attempts and judgments what lies below the watermark of the archive that the
    log names last, below the cursor of every group, and before the newest `kept`, once the archive
    was found to say the same. Nothing is removed when it is `dry`. Raises `UsageError`,
    `ArchiveError`."""
    async with folder.log(writable=True) as bus:
        starts = await asyncio.to_thread(bus.log.starts)
        below, archive = await asyncio.to_thread(_below, folder, bus.log, kept)
        shorter = {at: end for at, end in below.items() if end > starts.get(at, 0)}
        if not dry and below:
            whole = folder.whole(bus.log)
            await asyncio.to_thread(_compare, whole, archive, starts, shorter)
            await bus.trim(below)
    return Trimmed(
        below={name_of(at): end for at, end in shorter.items()},
        events=sum(end - starts.get(at, 0) for at, end in shorter.items()),
    )


def _below(folder: RunFolder, log: Log, kept: int) -> "tuple[dict[Stream, int], ArchiveLog]":
    mark = newest_watermark(log)
    if mark is None:
        raise UsageError(f"{folder.path} has no archive yet: make one with `evolvent archive`")
    archive = folder.archive_of(mark)
    archived, cut, below = archive.heads(), log.cut(), dict[Stream, int]()
    for stream, head in sorted(cut.heads.items()):
        if stream[0] in _LONG:
            end = min(mark.ends.get(name_of(stream), 0), archived.get(stream, 0))
            below[stream] = min([end, head - max(kept, 1), *_bases(cut, stream)])
    return {stream: end for stream, end in below.items() if end > 0}, archive


def _bases(cut: Cut, stream: Stream) -> list[int]:
    """How far groups have come; who must bring a topic to an end may not have begun."""
    bases = [held[stream].cursor.base for held in cut.groups.values() if stream in held]
    has_begun = stream in cut.groups.get(TOPICS[stream[0]].completed_by, {})
    return bases if has_begun else [0]


def _compare(
    log: Log, archive: "ArchiveLog", starts: Mapping[Stream, int], ends: Mapping[Stream, int]
) -> None:
    """Raises `ArchiveError` for a record that the archive does not have as it is on the log."""
    for stream, end in ends.items():
        start = starts.get(stream, 0)
        pairs = zip(log.read(*stream, start, end), archive.read(*stream, start, end), strict=True)
        for here, there in pairs:
            if here != there:
                raise ArchiveError(
                    f"the archive has another record at {name_of(stream)}/{here.offset} than the "
                    "log: nothing was removed; make a new archive with --dir"
                )
