"""Keeps what the log of a run says in its archive, and what is archived and done off its log. Knows
no role.

    log -> archive -> watermark on the log -> what lies below it may leave
"""

import asyncio
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bus.bus import Bus
from bus.events import Watermark, derive_id
from bus.groups import Stream, name_of
from bus.log import Cut, Log
from bus.topics import TOPICS
from observability.archive import manifest
from observability.archive.archive import Archive, opened
from observability.archive.archivist import Archivist, Show
from observability.archive.log import ArchiveLog
from observability.archive.manifest import Manifest
from observability.archive.place import ArchiveError, place_of
from observability.archive.watermark import newest_watermark, watermarks

AGENT = "archivist"
FOLDER = "archive"
"""Of a run, where nobody says another."""

LOCK = "archive.lock"
"""What whoever writes an archive of a run holds, in its folder."""

_LONG = {topic.name for topic in TOPICS.values() if topic.partitions > 1}
"""Topics that make a log long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trimmed:
    """Of each partition that gets shorter its new beginning, and how many records go."""

    below: dict[str, int]
    events: int


class Keeper:
    """Of the run `run_id` in the folder `run`, whose log is that of `bus`, and `whole` with what
    was trimmed of it. The archive lies at `location`. Raises `ArchiveError` for one that cannot be
    gone on with."""

    def __init__(self, bus: Bus, whole: Log, run: Path, run_id: str, location: str | None) -> None:
        self._bus, self._whole = bus, whole
        self._run, self._run_id = run, run_id
        self.place = place_of(location or run / FOLDER)
        self._location = self._named()
        self._archivist: Archivist | None = None

    @property
    def manifest(self) -> Manifest:
        """Of what was archived last."""
        return self._begun().manifest

    async def archive(
        self,
        show: Show = lambda what, done, whole: None,
        stops: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Archive all that the log says now; False when it was told to stop before. Cancelled, it
        first comes to the end of a file."""
        cancelled = threading.Event()

        def work() -> bool:
            begun = self._archivist
            if begun is not None and not manifest.stands(self.place, begun.manifest):
                # Another process has archived since.
                self._archivist = None
            return self._begun().catch_up(show, lambda: cancelled.is_set() or stops())

        working = asyncio.ensure_future(asyncio.to_thread(work))
        try:
            return await asyncio.shield(working)
        except asyncio.CancelledError:
            cancelled.set()
            await asyncio.wait([working])
            raise

    async def trim(self, kept: int) -> int:
        """How many events have left the log: what lies below the last watermark of this archive, as
        `trim` has it."""
        mark = await asyncio.to_thread(newest_watermark, self._bus.log, self._location)
        if mark is None:
            return 0
        archive = ArchiveLog(Archive(self.place, self.manifest))
        gone = await trim(self._bus, self._whole, lambda log: (mark, archive), kept, dry=False)
        return gone.events

    def due(self) -> Watermark | None:
        """The watermark, where the last one of all said something else. It does not speak of its
        own topic, which every one of them makes longer."""
        archived, topic = self.manifest, Watermark.topic
        digest, ends = archived.digest(without=topic), archived.named_ends()
        said, before = f"{self._location}/{digest}", newest_watermark(self._bus.log)
        if before is not None and before.location != self._location:
            # It may have been said before that other one.
            said += f"/{before.id}"
        elif before is not None and before.digest == digest:
            return None
        if not ends:
            return None
        return Watermark(
            id=derive_id(archived.run, AGENT, said),
            run=archived.run,
            agent=AGENT,
            location=self._location,
            ends={name: end for name, end in ends.items() if name != f"{topic}/0"},
            digest=digest,
        )

    def _begun(self) -> Archivist:
        if self._archivist is None:
            found = manifest.read(self.place)
            self._check_whole(found)
            self._archivist = Archivist(self._whole, self.place, self._run_id, found=found)
        return self._archivist

    def _check_whole(self, found: Manifest | None) -> None:
        """An archivist removes files that the manifest does not name: not those that hold alone
        what was trimmed."""
        log, ends = self._bus.log, {} if found is None else found.ends
        if newest_watermark(log, self._location) is None:
            return
        for stream, first in log.starts().items():
            if ends.get(stream, 0) < first:
                try:
                    newest_archive(self._run, self._run_id, log)
                except ArchiveError:
                    raise ArchiveError(
                        f"the log was trimmed up to {name_of(stream)}/{first}, which "
                        f"{manifest.FILE} of {self.place} does not name: restore that file from a "
                        "copy; nothing was removed"
                    ) from None
                return

    def _named(self) -> str:
        """The archive as its watermark names it: relative to the run where it lies within."""
        if "://" in str(self.place):
            return str(self.place)
        path, run = Path(str(self.place)).resolve(), self._run.resolve()
        return str(path.relative_to(run) if path.is_relative_to(run) else path)


Found = tuple[Watermark, ArchiveLog]
"""An archive, and what the log said of it last."""


def newest_archive(run: Path, run_id: str, log: Log) -> Found:
    """Of the archives that the log of the run in the folder `run` names, the last that is there and
    has what was trimmed. Raises `ArchiveError` where none is."""
    starts, failed = log.starts(), list[str]()
    for mark in watermarks(log):
        try:
            return mark, _reaching(run, run_id, mark, starts)
        except ArchiveError as error:
            failed.append(str(error))
    if failed:
        raise ArchiveError("; ".join(failed))
    if starts:
        raise ArchiveError(
            f"the log of {run} was trimmed and names no archive: restore it from a copy"
        )
    raise ArchiveError("the run has no archive yet: make one with `evolvent archive`")


def _reaching(run: Path, run_id: str, mark: Watermark, starts: Mapping[Stream, int]) -> ArchiveLog:
    place = place_of(mark.location if "://" in mark.location else run / mark.location)
    archive = ArchiveLog(opened(place, run_id))
    heads = archive.heads()
    for stream, first in starts.items():
        if heads.get(stream, 0) < first:
            raise ArchiveError(
                f"the log was trimmed up to {name_of(stream)}/{first}, and the archive {place} "
                f"ends at {heads.get(stream, 0)}: restore it from a copy"
            )
    return archive


async def trim(
    bus: Bus, whole: Log, found: Callable[[Log], Found], kept: int, *, dry: bool
) -> Trimmed:
    """Remove of tasks, attempts and judgments what lies below the watermark of the archive that was
    `found` for the log, below the cursor of every group, and before the newest `kept`, once the
    archive says the same. Nothing is removed when it is `dry`. Raises `ArchiveError`."""
    starts = await asyncio.to_thread(bus.log.starts)
    mark, archived = await asyncio.to_thread(found, bus.log)
    below = await asyncio.to_thread(_below, bus.log, mark, archived, kept)
    shorter = {at: end for at, end in below.items() if end > starts.get(at, 0)}
    if not dry and below:
        await asyncio.to_thread(_compare, whole, archived, starts, shorter)
        await bus.trim(below)
    return Trimmed(
        below={name_of(at): end for at, end in shorter.items()},
        events=sum(end - starts.get(at, 0) for at, end in shorter.items()),
    )


def _below(log: Log, mark: Watermark, archive: ArchiveLog, kept: int) -> dict[Stream, int]:
    archived, cut, below = archive.heads(), log.cut(), dict[Stream, int]()
    for stream, head in sorted(cut.heads.items()):
        if stream[0] in _LONG:
            end = min(mark.ends.get(name_of(stream), 0), archived.get(stream, 0))
            below[stream] = min([end, head - max(kept, 1), *_bases(cut, stream)])
    return {stream: end for stream, end in below.items() if end > 0}


def _bases(cut: Cut, stream: Stream) -> list[int]:
    """How far groups have come; who must bring a topic to an end may not have begun."""
    bases = [held[stream].cursor.base for held in cut.groups.values() if stream in held]
    has_begun = stream in cut.groups.get(TOPICS[stream[0]].completed_by, {})
    return bases if has_begun else [0]


def _compare(
    log: Log, archive: ArchiveLog, starts: Mapping[Stream, int], ends: Mapping[Stream, int]
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
