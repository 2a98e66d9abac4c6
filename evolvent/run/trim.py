"""`evolvent trim`: what an archive has and nobody needs goes from the log. Knows no role."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bus.groups import Stream, name_of
from bus.log import Cut, Log
from bus.topics import TOPICS
from evolvent.errors import UsageError
from evolvent.run.folder import RunFolder
from observability.archive.place import ArchiveError
from observability.archive.watermark import newest_watermark

if TYPE_CHECKING:
    from observability.archive.log import ArchiveLog

KEPT = 10_000
"""Records of a partition that stay, archived or not: roles look back so far."""

_LONG = {topic.name for topic in TOPICS.values() if topic.partitions > 1}
"""Topics that make a log long."""


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
