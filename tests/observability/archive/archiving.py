"""What the tests of archives share: logs, archives of them, and what is compared."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow.parquet as pq

from bus.events import Event
from bus.log import Log
from bus.records import Record
from bus.sqlite.bus import SqliteBus
from observability.archive.archive import opened
from observability.archive.archivist import Archivist
from observability.archive.log import ArchiveLog
from observability.archive.place import Place, place_of
from tests.observability.story import RUN, Story

BLOCK = 16
EVENTS = Story(versions=40).events()


@contextmanager
def log_of(path: Path, events: Sequence[Event] = ()) -> Iterator[SqliteBus]:
    bus = SqliteBus(path)
    try:
        asyncio.run(bus.publish(events))
        yield bus
    finally:
        asyncio.run(bus.close())


def archived(log: Log, location: Path | str, run: str = RUN, block: int = BLOCK) -> Archivist:
    """An archive that has caught up with a log."""
    archivist = Archivist(log, place_of(location), run, block=block)
    assert archivist.catch_up()
    return archivist


def read(location: Path | str | Place, run: str = RUN) -> ArchiveLog:
    place = place_of(location) if isinstance(location, Path | str) else location
    return ArchiveLog(opened(place, run))


def records(log: Log) -> dict[tuple[str, int], list[Record]]:
    return {stream: list(log.read(*stream)) for stream in sorted(log.heads())}


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def rows(folder: Path) -> list[tuple[str, int, int]]:
    """Topic, partition and offset of whatever lies in the files of events of a folder, named or
    not."""
    columns = ["topic", "partition", "offset"]
    found = []
    for path in folder.glob("*/*/*.parquet"):
        for row in pq.ParquetFile(path).read(columns=columns).to_pylist():
            found.append((row["topic"], row["partition"], row["offset"]))
    return sorted(found)


def places(log: Log) -> list[tuple[str, int, int]]:
    return sorted((*at, offset) for at, end in log.heads().items() for offset in range(end))
