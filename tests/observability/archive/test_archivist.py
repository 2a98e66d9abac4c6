"""The files of an archive are the log, each record once, and always the same bytes."""

import asyncio
import json
import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from bus.memory.bus import MemoryBus
from bus.records import Record
from observability.archive.archivist import Archivist
from observability.archive.place import ArchiveError, place_of
from tests.observability.archive.archiving import (
    BLOCK,
    EVENTS,
    archived,
    contents,
    log_of,
    places,
    read,
    records,
    rows,
)
from tests.observability.story import RUN


def test_the_union_of_the_files_is_the_log(tmp_path: Path) -> None:
    with log_of(tmp_path / "log.sqlite", EVENTS) as log:
        archived(log, tmp_path / "archive")
        assert rows(tmp_path / "archive") == places(log)
        found = read(tmp_path / "archive")
        assert records(found) == records(log)
        assert found.heads() == log.heads()
        for topic, partition in (("judgments", 1), ("weights", 0)):
            end = log.heads()[topic, partition]
            assert list(found.read(topic, partition, 3, 8)) == list(
                log.read(topic, partition, 3, 8)
            )
            assert list(found.read(topic, partition, end)) == []
            assert found.commits(topic, partition, 2, end) == log.commits(topic, partition, 2, end)
        for record in list(log.read("judgments", 2))[::7]:
            assert found.find(record.event_id) == record
        assert found.find("0" * 32) is None and found.find("") is None


def test_a_file_ends_where_the_log_says_and_bears_its_range(tmp_path: Path) -> None:
    with log_of(tmp_path / "log.sqlite", EVENTS) as log:
        archived(log, tmp_path / "archive")
        for (topic, partition), end in log.heads().items():
            names = {
                f"{first:012d}-{min(first + BLOCK, end):012d}.parquet"
                for first in range(0, end, BLOCK)
            }
            folder = tmp_path / "archive" / topic / str(partition)
            assert {path.name for path in folder.glob("*")} == names


def test_an_attempt_is_stored_once(tmp_path: Path) -> None:
    with log_of(tmp_path / "log.sqlite", EVENTS) as log:
        archived(log, tmp_path / "archive")
        for path in (tmp_path / "archive" / "judgments").rglob("*.parquet"):
            for row in pq.ParquetFile(path).read().to_pylist():
                body = json.loads(row["body"])
                assert body["attempt"] is None and body["verdicts"]
                [attempt] = log.read(
                    "attempts", row["partition"], row["attempt_offset"], row["attempt_offset"] + 1
                )
                assert attempt.event_id == row["cause"]


def test_the_same_log_gives_the_same_bytes_however_often_it_was_looked_at(tmp_path: Path) -> None:
    with log_of(tmp_path / "log.sqlite") as log:
        often = Archivist(log, place_of(tmp_path / "often"), RUN, block=BLOCK)
        for start in range(0, len(EVENTS), 37):
            asyncio.run(log.publish(EVENTS[start : start + 37]))
            assert often.catch_up()
            assert rows(tmp_path / "often") == places(log)
        archived(log, tmp_path / "once")
        again = Archivist(log, place_of(tmp_path / "once"), RUN)
        assert again.catch_up() and again.manifest.block == BLOCK
    assert contents(tmp_path / "often") == contents(tmp_path / "once")


def test_what_other_programs_wrote_is_kept_as_it_is(tmp_path: Path) -> None:
    odd = [
        Record(topic="judgments", partition=1, offset=-1, key="é", headers={}, value=b""),
        Record(
            topic="judgments",
            partition=1,
            offset=-1,
            key="",
            headers={"ce_id": "no id", "ce_causationid": "nobody", "": "x"},
            value=b"\xff\x00null",
        ),
    ]

    async def written() -> MemoryBus:
        bus = MemoryBus()
        await bus.publish(EVENTS[:50])
        await bus.append(odd)
        await bus.publish(EVENTS[50:])
        return bus

    bus = asyncio.run(written())
    archived(bus, tmp_path / "archive")
    found = read(tmp_path / "archive")
    assert records(found) == records(bus)
    assert found.find("no id") == bus.find("no id") is not None


def test_groups_are_as_far_as_they_were_at_that_moment(tmp_path: Path) -> None:
    async def moved() -> MemoryBus:
        bus = MemoryBus()
        await bus.publish(EVENTS)
        async with bus.subscribe(["judgments", "refusals"], "trainer", "one") as trainer:
            taken = await trainer.take(30)
            await trainer.complete(taken[:9] + taken[12:], [])
        return bus

    bus = asyncio.run(moved())
    archived(bus, tmp_path / "archive")
    found = read(tmp_path / "archive")
    assert found.groups() == ["trainer"] and found.members("trainer") == []
    assert found.cursors("trainer") == bus.cursors("trainer")
    assert found.cursors("nobody") == {}
    kept = [(one.topic, one.partition, one.base, one.backlog) for one in found.lag("trainer")]
    assert kept == [(one.topic, one.partition, one.base, one.backlog) for one in bus.lag("trainer")]


def test_what_is_not_on_the_disk_yet_is_not_archived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[str] = []
    flush = os.fsync

    def noted(descriptor: int) -> None:
        flush(descriptor)
        flushed.append(os.readlink(f"/proc/self/fd/{descriptor}"))

    with log_of(tmp_path / "log.sqlite", EVENTS) as log:
        monkeypatch.setattr(os, "fsync", noted)
        archived(log, tmp_path / "archive")
    wal, first = str(tmp_path / "log.sqlite-wal"), str(tmp_path / "archive")
    assert flushed.index(wal) < next(n for n, path in enumerate(flushed) if path.startswith(first))


def test_an_archive_goes_on_from_no_other_log(tmp_path: Path) -> None:
    with log_of(tmp_path / "log.sqlite", EVENTS) as log:
        archived(log, tmp_path / "archive")
        with pytest.raises(ArchiveError, match="is the archive of run words-7, this is run other"):
            Archivist(log, place_of(tmp_path / "archive"), "other")
    with (
        log_of(tmp_path / "short.sqlite", EVENTS[:100]) as log,
        pytest.raises(ArchiveError, match=r"of another log: it has \S+ up to \d+, the log ends at"),
    ):
        archived(log, tmp_path / "archive")
    with (
        log_of(tmp_path / "other.sqlite", [*reversed(EVENTS)]) as log,
        pytest.raises(ArchiveError, match="is another record there"),
    ):
        archived(log, tmp_path / "archive")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    with (
        log_of(tmp_path / "log.sqlite") as log,
        pytest.raises(ArchiveError, match=r"is no archive and holds thesis\.tex"),
    ):
        archived(log, tmp_path / "mine")


def test_told_to_stop_it_goes_on_from_there(tmp_path: Path) -> None:
    with log_of(tmp_path / "log.sqlite", EVENTS) as log:
        archivist = Archivist(log, place_of(tmp_path / "archive"), RUN, block=BLOCK)
        asked = iter([False] * 9 + [True] * 99)
        assert not archivist.catch_up(stops=lambda: next(asked))
        with pytest.raises(ArchiveError, match="is not finished"):
            read(tmp_path / "archive")
        archived(log, tmp_path / "archive")
        archived(log, tmp_path / "once")
    assert contents(tmp_path / "archive") == contents(tmp_path / "once")
