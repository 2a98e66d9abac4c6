"""`evolvent trim`: what an archive has and nobody needs goes from the log. Knows no role."""

import asyncio
from dataclasses import dataclass

from bus.groups import Stream, name_of
from bus.log import Cut, Log
from bus.topics import TOPICS
from evolvent.errors import UsageError
from evolvent.run.folder import RunFolder
from observability.archive.watermark import newest_watermark

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
    log names last, below the cursor of every group, and before the newest `kept`. Nothing is
    removed when it is `dry`. Raises `UsageError`, `ArchiveError`."""
    async with folder.log(writable=True) as bus:
        starts = await asyncio.to_thread(bus.log.starts)
        below = await asyncio.to_thread(_below, folder, bus.log, kept)
        shorter = {at: end for at, end in below.items() if end > starts.get(at, 0)}
        if not dry and below:
            await bus.trim(below)
    return Trimmed(
        below={name_of(at): end for at, end in shorter.items()},
        events=sum(end - starts.get(at, 0) for at, end in shorter.items()),
    )


def _below(folder: RunFolder, log: Log, kept: int) -> dict[Stream, int]:
    mark = newest_watermark(log)
    if mark is None:
        raise UsageError(f"{folder.path} has no archive yet: make one with `evolvent archive`")
    archived = folder.archive_of(mark).heads()
    cut, below = log.cut(), dict[Stream, int]()
    for stream, head in sorted(cut.heads.items()):
        if stream[0] in _LONG:
            end = min(mark.ends.get(name_of(stream), 0), archived.get(stream, 0))
            below[stream] = min([end, head - max(kept, 1), *_bases(cut, stream)])
    return {stream: end for stream, end in below.items() if end > 0}


def _bases(cut: Cut, stream: Stream) -> list[int]:
    return [held[stream].cursor.base for held in cut.groups.values() if stream in held]
