"""The files of an archive, read: each compared with its sha256 first, its records as they were on
the log. Knows no group.
"""

import hashlib
import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from bus.groups import Stream
from bus.records import Record
from observability.archive.attempts import EMBEDS
from observability.archive.columns import ENVELOPE, NULL, columns_of, headers_of
from observability.archive.manifest import File, Manifest, TableFile, damaged, read
from observability.archive.place import ArchiveError, Place

_FILES = 16
"""Kept open, the last that were used."""
_GROUPS = 8
"""Of rows, unpacked, the last that were used."""

Made = TypeVar("Made")


class Newest(OrderedDict[Any, Made]):
    """What was made last, up to so many."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def get_or_make(self, key: Any, make: Callable[[], Made]) -> Made:
        if key not in self:
            if len(self) >= self._most:
                self.popitem(last=False)
            self[key] = make()
        self.move_to_end(key)
        return self[key]


class Archive:
    """Raises `ArchiveError` where it is damaged. Several threads may share it."""

    def __init__(self, place: Place, manifest: Manifest) -> None:
        self.place, self.manifest = place, manifest
        self._files: dict[Stream, list[File]] = {}
        for file in manifest.files:
            self._files.setdefault(file.stream, []).append(file)
        self._lock = threading.RLock()
        self._whole: set[str] = set()
        self._open: Newest[pq.ParquetFile] = Newest(_FILES)
        self._tables: Newest[pa.Table] = Newest(_GROUPS)

    def records(self, stream: Stream, start: int, end: int) -> Iterator[Record]:
        """[start, end) of a partition, as far as they are there."""
        for file in self._files.get(stream, ()):
            if file.first < end and start < file.end:
                for group, first in enumerate(self._firsts(file)):
                    past = first + self._size(file, group)
                    if first < end and start < past:
                        yield from self._group(
                            file, group, first, max(start, first), min(end, past)
                        )

    def column(self, stream: Stream, name: str) -> pa.ChunkedArray:
        """One column of a partition."""
        chunks = []
        for file in self._files.get(stream, ()):
            with self._lock:
                chunks += self._opened(file).read(columns=[name]).column(name).chunks
        return pa.chunked_array(chunks, chunks[0].type if chunks else pa.string())

    def commits(self, stream: Stream, start: int, end: int) -> Sequence[int | None]:
        """The column `commit` of [start, end)."""
        found: list[int | None] = []
        for file in self._files.get(stream, ()):
            if file.first < end and start < file.end:
                table = self._table(file, None, ["commit"])
                low = max(start, file.first) - file.first
                some = table.column("commit").slice(low, min(end, file.end) - file.first - low)
                found += some.to_pylist()
        return found

    def table(self, file: TableFile) -> pa.Buffer:
        """A file of a table, whole. Raises `FileNotFoundError` where a longer one has taken its
        place."""
        return pa.py_buffer(self._compared(file))

    def _group(self, file: File, group: int, first: int, start: int, end: int) -> Iterator[Record]:
        names = [*ENVELOPE, "body", "raw"]
        if file.topic in EMBEDS:
            names += ["attempt_offset", "attempt_at"]
        table = self._table(file, group, names).slice(start - first, end - start)
        columns = columns_of(table, names)
        for number in range(end - start):
            row = {name: columns[name][number] for name in names}
            yield Record(
                topic=file.topic,
                partition=file.partition,
                offset=start + number,
                key=row["key"],
                headers=headers_of(row, row["key"]),
                value=self._value(file, row),
            )

    def _value(self, file: File, row: dict[str, Any]) -> bytes:
        body: bytes = row["raw"] if row["body"] is None else row["body"]
        if (at := row.get("attempt_at")) is None:
            return body
        attempt = self._body((EMBEDS[file.topic], file.partition), row["attempt_offset"])
        return body[:at] + attempt + body[at + len(NULL) :]

    def _body(self, stream: Stream, offset: int) -> bytes:
        files = self._files.get(stream, [])
        at = bisect_right(files, offset, key=lambda one: one.first) - 1
        if at < 0 or offset >= files[at].end:
            raise damaged(self.place, f"{stream[0]}/{stream[1]}/{offset} is missing")
        file = files[at]
        firsts = self._firsts(file)
        group = bisect_right(firsts, offset) - 1
        number = offset - firsts[group]
        table = self._table(file, group, ["body", "raw"])
        body = table.column("body")[number]
        found = body if body.is_valid else table.column("raw")[number]
        return bytes(found.as_buffer())

    def _table(self, file: File, group: int | None, names: list[str]) -> pa.Table:
        """Columns of one group of rows, None for all of them."""

        def read() -> pa.Table:
            if group is None:
                return self._opened(file).read(columns=names)
            return self._opened(file).read_row_group(group, columns=names)

        with self._lock:
            return self._tables.get_or_make((file.name, group, len(names)), read)

    def _firsts(self, file: File) -> list[int]:
        """The first offset of each group of rows."""
        firsts, at = [], file.first
        with self._lock:
            metadata = self._opened(file).metadata
        for group in range(metadata.num_row_groups):
            firsts.append(at)
            at += metadata.row_group(group).num_rows
        return firsts

    def _size(self, file: File, group: int) -> int:
        with self._lock:
            return int(self._opened(file).metadata.row_group(group).num_rows)

    def _opened(self, file: File) -> pq.ParquetFile:
        return self._open.get_or_make(file.name, lambda: self._checked(file))

    def _checked(self, file: File) -> pq.ParquetFile:
        try:
            view = self._compared(file)
        except FileNotFoundError:
            return self._checked(self._longer(file))
        opened = pq.ParquetFile(pa.BufferReader(pa.py_buffer(view)))
        if opened.metadata.num_rows != file.end - file.first:
            raise damaged(self.place, f"{file.name} has {opened.metadata.num_rows} records")
        return opened

    def _compared(self, file: File | TableFile) -> memoryview:
        """What a file holds, which is what was written."""
        view = self.place.read(file.name)
        if file.name not in self._whole and hashlib.sha256(view).hexdigest() != file.sha256:
            raise damaged(self.place, f"the sha256 of {file.name} is another")
        self._whole.add(file.name)
        return view

    def _longer(self, file: File) -> File:
        """What has taken the place of a file since the manifest was read."""
        manifest = read(self.place) or self.manifest
        for one in manifest.files:
            if (one.stream, one.first) == (file.stream, file.first) and one.end > file.end:
                return one
        raise damaged(self.place, f"{file.name} is missing")


def opened(place: Place, run: str | None = None) -> Archive:
    """The archive at a place, of a run where one is named. Raises `ArchiveError`."""
    manifest = read(place)
    if manifest is None:
        raise ArchiveError(
            f"there is no archive at {place}: make one with `evolvent archive`, or name another"
        )
    if run is not None and manifest.run != run:
        raise ArchiveError(
            f"the archive {place} is of run {manifest.run}, this is run {run}: name another"
        )
    return Archive(place, manifest)
