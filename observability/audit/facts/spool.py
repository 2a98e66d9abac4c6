"""Rows of one width in buckets on disk: only ever added to, and read back one bucket at a time.

Each bucket is a file that grows at its end, so that a row costs the same however many there are;
what is not yet written is bounded over all buckets together. Knows no event.
"""

import os
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

WAITING_BYTES = 1 << 20
"""So much of a spool may wait in memory to be written."""

_BLOCK_ROWS = 512


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder where `TMPDIR` says, gone afterwards. Raises `OSError` where there is no room."""
    with tempfile.TemporaryDirectory(prefix="evolvent-audit-", ignore_cleanup_errors=True) as name:
        yield Path(name)


class Spool:
    """In `folder`, which holds nothing else; `row` is how a row is laid out."""

    def __init__(self, folder: Path, row: struct.Struct) -> None:
        self._folder = str(folder)
        self._row = row
        self._waiting: dict[int, bytearray] = {}
        self._bytes = 0
        folder.mkdir()

    def add(self, bucket: int, *fields: Any) -> None:
        """Raises `OSError` where the disk has no room left."""
        waiting = self._waiting.get(bucket)
        if waiting is None:
            waiting = self._waiting[bucket] = bytearray()
        waiting += self._row.pack(*fields)
        self._bytes += self._row.size
        if self._bytes >= WAITING_BYTES:
            self._write()

    def rows(self, bucket: int) -> Iterator[tuple[Any, ...]]:
        """Those of a bucket in the order in which they were added, a block in memory at a time."""
        size = self._row.size * _BLOCK_ROWS
        try:
            with open(self._path(bucket), "rb") as file:
                while block := file.read(size):
                    yield from self._row.iter_unpack(block)
        except FileNotFoundError:
            pass
        yield from self._row.iter_unpack(bytes(self._waiting.get(bucket, b"")))

    def _path(self, bucket: int) -> str:
        # A `Path` keeps its parts for ever.
        return f"{self._folder}{os.sep}{bucket}"

    def _write(self) -> None:
        for bucket, waiting in self._waiting.items():
            try:
                # Without a buffer of its own: a file is opened for one write.
                file = os.open(self._path(bucket), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
                try:
                    written = 0
                    while written < len(waiting):
                        written += os.write(file, memoryview(waiting)[written:])
                finally:
                    os.close(file)
            except OSError as error:
                folder = os.path.dirname(self._folder)
                raise OSError(error.errno, error.strerror, folder) from error
        self._waiting.clear()
        self._bytes = 0
