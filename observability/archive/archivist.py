"""Writes what a log says into an archive, exactly once, whatever is killed. Knows no driver.

    a moment of the log -> files, their tables, each written aside, flushed, renamed -> manifest

Files end where the log says, at every `block` records of a partition; the last of each, which is
shorter, gives way to a longer one. What the manifest does not name is made again, and is the same.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pyarrow.parquet as pq

from bus.errors import BusError
from bus.faults import fault_point
from bus.groups import Stream, name_of
from bus.log import Cut, HasOrder, Log
from observability.archive import manifest
from observability.archive.archive import Archive
from observability.archive.attempts import EMBEDS, Attempts
from observability.archive.columns import RANGED, REPEATED, SCHEMA, Rows
from observability.archive.manifest import File, Manifest, TableFile
from observability.archive.place import ArchiveError, Place
from observability.archive.tables import FORM, Sheets, measured, tables_of, tabulated
from observability.audit.duties import reading_order
from observability.query.tables import event_of

BLOCK = 4096
"""Records of a file."""

GROUP_RECORDS, GROUP_BYTES = 1024, 8 * 1024 * 1024
"""Of rows that are unpacked together, at most so many, or as many as make up so much."""

_NAME = re.compile(r"(tables/[a-z_]+/)?[a-z.]+/\d+/\d{12}-\d{12}\.parquet")

AT_ONCE = 8
"""Files that are named by the manifest together."""

Show = Callable[[str, int, int], None]
"""What is being done, how much of it, and of how much."""


class Archivist:
    """The one writer of an archive, whose manifest may have been `found` just before. Raises
    `ArchiveError` for one that is damaged, of another run, or not of this log."""

    def __init__(
        self,
        log: Log,
        place: Place,
        run: str,
        *,
        block: int = BLOCK,
        found: Manifest | None = None,
    ) -> None:
        self._log, self._place = log, place
        found = found or manifest.read(place)
        self.manifest = found or Manifest(run=run, block=block, form=FORM)
        if self.manifest.run != run:
            raise ArchiveError(
                f"{place} is the archive of run {self.manifest.run}, this is run {run}: choose "
                "another --dir"
            )
        if found is None and (there := [name for name in place.sizes() if not _is_ours(name)]):
            raise ArchiveError(f"{place} is no archive and holds {there[0]}: choose another --dir")
        self._check_same()
        self._name(self.manifest.of_form(FORM))
        self._sweep()

    def catch_up(
        self,
        show: Show = lambda what, done, whole: None,
        stops: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Archive all that the log says now; False when it was told to stop before."""
        cut = self._log.cut()
        self._check_ends(cut)
        if not self._complete(stops):
            return False
        ends, files, tables = self.manifest.ends, list[File](), list[TableFile]()
        whole = sum(cut.heads.values())
        done = sum(ends.get(stream, 0) for stream in cut.heads)
        for stream in sorted(cut.heads, key=lambda at: (reading_order(at[0]), at)):
            for first, end in self._ranges(ends.get(stream, 0), cut.heads[stream]):
                if stops():
                    return False
                file, made = self._write(stream, first, end, cut)
                files.append(file)
                tables += made
                done += end - max(first, ends.get(stream, 0))
                show("archiving", done, whole)
                if len(files) == AT_ONCE:
                    self._name(self.manifest.with_files(files, tables))
                    files, tables = [], []
        self._name(self.manifest.with_files(files, tables).at(cut))
        return True

    def _complete(self, stops: Callable[[], bool]) -> bool:
        """The tables of files that have none, as those of an older evolvent; False when it was told
        to stop before."""
        there = {(one.stream, one.first, one.end) for one in self.manifest.tables}
        archive = Archive(self._place, self.manifest)
        for file in self.manifest.files:
            if (file.stream, file.first, file.end) in there or not tables_of(file.topic):
                continue
            if stops():
                return False
            with tabulated(self._place, file.stream, file.first, file.end) as sheets:
                for count, record in enumerate(archive.records(file.stream, file.first, file.end)):
                    if count % GROUP_RECORDS == 0:
                        sheets.flush()
                    sheets.add(record, event_of(record))
            self._name(self.manifest.with_files((), sheets.files))
        return True

    def _ranges(self, known: int, head: int) -> Iterator[tuple[int, int]]:
        """The files that are missing, and one that is there with fewer records."""
        block = self.manifest.block
        for first in range(known - known % block, head, block):
            if (end := min(first + block, head)) > known:
                yield first, end

    def _write(
        self, stream: Stream, first: int, end: int, cut: Cut
    ) -> tuple[File, list[TableFile]]:
        file = File(topic=stream[0], partition=stream[1], first=first, end=end)
        with (
            tabulated(self._place, stream, first, end) as sheets,
            self._place.writing(file.name) as path,
        ):
            self._fill(path, sheets, stream, first, end, cut)
            named = file.model_copy(update=measured(path))
            fault_point("archive.written")
        fault_point("archive.renamed")
        return named, sheets.files

    def _fill(
        self, path: Path, sheets: Sheets, stream: Stream, first: int, end: int, cut: Cut
    ) -> None:
        causes = (EMBEDS.get(stream[0], ""), stream[1])
        attempts = None
        if causes in cut.heads:
            attempts = Attempts(self._log, causes, cut.heads[causes], first)
        commits = self._commits(stream, first, end)
        rows, expected = Rows(), first
        with pq.ParquetWriter(
            path,
            SCHEMA,
            version="2.6",
            compression="zstd",
            compression_level=3,
            use_dictionary=REPEATED,
            write_statistics=RANGED,
            store_schema=False,
        ) as writer:
            for record in self._log.read(*stream, first, end):
                if record.offset != expected:
                    break
                expected += 1
                part = None if attempts is None else attempts.part_of(record)
                event = event_of(record)
                rows.add(record, event, next(commits), part)
                sheets.add(record, event)
                if len(rows) == GROUP_RECORDS or rows.num_bytes >= GROUP_BYTES:
                    writer.write_table(rows.table())
                    sheets.flush()
                    rows = Rows()
            if len(rows):
                writer.write_table(rows.table())
        if expected != end:
            raise ArchiveError(
                f"the log has lost {name_of(stream)}/{expected}, which is not archived: restore it"
            )

    def _commits(self, stream: Stream, first: int, end: int) -> Iterator[int | None]:
        """None of each where the log did not keep their order."""
        found: Sequence[int | None] = [None] * (end - first)
        if isinstance(self._log, HasOrder):
            with suppress(BusError):
                found = self._log.commits(*stream, first, end)
        yield from found

    def _name(self, new: Manifest) -> None:
        """Files that are there become part of the archive; those that they replace go."""
        if new == self.manifest:
            return
        former = self.manifest.names - new.names
        manifest.write(self._place, new)
        self.manifest = new
        fault_point("archive.named")
        for name in sorted(former):
            self._place.remove(name)

    def _sweep(self) -> None:
        """Remove what a writer has left that was killed."""
        self._place.tidy()
        named = self.manifest.names | {manifest.FILE}
        for name in sorted(self._place.sizes().keys() - named):
            if _is_ours(name):
                self._place.remove(name)

    def _check_ends(self, cut: Cut) -> None:
        for stream, end in self.manifest.ends.items():
            if cut.heads.get(stream, 0) < end:
                raise self._another(
                    f"it has {name_of(stream)} up to {end}, the log ends at "
                    f"{cut.heads.get(stream, 0)}"
                )

    def _check_same(self) -> None:
        """Whether the log goes on from the archive, by the last record of each partition."""
        heads, archive = self._log.heads(), Archive(self._place, self.manifest)
        for stream, end in self.manifest.ends.items():
            if heads.get(stream, 0) >= end:
                there = list(archive.records(stream, end - 1, end))
                here = list(self._log.read(*stream, end - 1, end))
                if there != here:
                    raise self._another(f"{name_of(stream)}/{end - 1} is another record there")

    def _another(self, how: str) -> ArchiveError:
        return ArchiveError(
            f"{self._place} is the archive of another log: {how}; choose another --dir"
        )


def _is_ours(name: str) -> bool:
    """Whether a file is one that an archivist writes."""
    return _NAME.fullmatch(name) is not None
