"""Tables as an archive has them beside its events, up to where its files end: whoever asks reads
the columns that a question needs, and no event is decoded. Knows no SQL.
"""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
from pyarrow import dataset

from bus.groups import Stream
from observability.archive.archive import Archive
from observability.archive.manifest import File, TableFile
from observability.archive.tables import FORM, STORED, tables_of
from observability.query.arrow import schema


class ArchivedTables:
    """Those of records below an end of each partition. Raises `ArchiveError` for a file that is
    damaged."""

    def __init__(self, archive: Archive, below: Mapping[Stream, int]) -> None:
        self._archive = archive
        self.ends: dict[Stream, int] = {}
        """How far the tables of a partition reach."""
        self.unreadable: dict[str, int] = {}
        """Records of a topic that its tables have left out."""
        self._files: dict[str, list[TableFile]] = {}
        manifest = archive.manifest
        made = {(one.table, one.stream, one.first, one.end): one for one in manifest.tables}
        for file in manifest.files if manifest.form == FORM else ():
            if file.first == self.ends.get(file.stream, 0) and file.end <= below.get(
                file.stream, 0
            ):
                self._take(file, made)

    def _take(self, file: File, made: Mapping[Any, TableFile]) -> None:
        names = [table.name for table in tables_of(file.topic)]
        found = [made.get((name, file.stream, file.first, file.end)) for name in names]
        if not found or None in found:
            return
        self.ends[file.stream] = file.end
        for one in filter(None, found):
            self._files.setdefault(one.table, []).append(one)
        left_out = max(one.unreadable for one in filter(None, found))
        self.unreadable[file.topic] = self.unreadable.get(file.topic, 0) + left_out

    def table(self, name: str) -> Any:
        """A table with the columns that are stored, as a data set; None where there is none, or
        where its files were replaced while this looked."""
        form = dataset.ParquetFileFormat()
        try:
            files = [self._archive.table(file) for file in self._files.get(name, ())]
        except FileNotFoundError:
            return None
        fragments = [form.make_fragment(pa.BufferReader(file)) for file in files]
        if not fragments:
            return None
        return dataset.FileSystemDataset(fragments, schema(STORED[name]), form)
