"""Who reads a log that was trimmed, and the archive that has the rest, notices nothing."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bus.memory.bus import MemoryBus
from bus.sqlite.bus import SqliteBus
from observability.archive.place import ArchiveError
from observability.archive.together import TogetherLog
from observability.audit.audit import audit
from tests.observability.archive.archiving import EVENTS, archived, contents, log_of, read, records
from tests.observability.audit.audited_run import RUN

TRIM = """
import asyncio, sys
from pathlib import Path
from bus.sqlite.bus import SqliteBus
bus = SqliteBus(Path(sys.argv[1]))
long = ("tasks", "attempts", "judgments")
asyncio.run(bus.trim({at: end - 5 for at, end in bus.heads().items() if at[0] in long}))
asyncio.run(bus.close())
"""
TRIMMED = {("judgments", 1): 9, ("attempts", 2): 16, ("tasks", 0): 99}


def test_records_and_ids_are_those_of_the_whole_log(tmp_path: Path) -> None:
    bus = MemoryBus()
    asyncio.run(bus.publish(EVENTS))
    before = records(bus)
    archived(bus, tmp_path / "archive")
    asyncio.run(bus.trim(TRIMMED))
    whole = TogetherLog(bus, lambda: read(tmp_path / "archive"))
    assert records(whole) == before and whole.heads() == bus.heads()
    assert list(whole.read("judgments", 1, 3, 12)) == before["judgments", 1][3:12]
    assert list(whole.read("judgments", 1, 3, 6)) == before["judgments", 1][3:6]
    for record in (before["judgments", 1][2], before["tasks", 0][0], before["weights", 0][4]):
        assert whole.find(record.event_id) == record
    assert whole.find("0" * 32) is None


def test_what_was_trimmed_since_the_archive_was_opened_is_found(tmp_path: Path) -> None:
    bus = MemoryBus()
    asyncio.run(bus.publish(EVENTS[:60]))
    archived(bus, tmp_path / "archive")
    longest, other = sorted(
        (at for at in bus.heads() if at[0] in ("attempts", "judgments")),
        key=lambda at: (-bus.heads()[at], at),
    )[:2]
    asyncio.run(bus.trim({longest: bus.heads()[longest] - 1}))
    whole = TogetherLog(bus, lambda: read(tmp_path / "archive"))
    [first] = whole.read(*longest, 0, 1)
    asyncio.run(bus.publish(EVENTS[60:]))
    archived(whole, tmp_path / "archive")
    before = list(bus.read(*other))
    asyncio.run(bus.trim({other: bus.heads()[other] - 1}))
    assert whole.find(first.event_id) == first
    assert whole.find(before[-2].event_id) == before[-2]


def test_what_the_archive_does_not_have_is_lost_and_said(tmp_path: Path) -> None:
    bus = MemoryBus()
    asyncio.run(bus.publish(EVENTS[:60]))
    archived(bus, tmp_path / "archive")
    asyncio.run(bus.publish(EVENTS[60:]))
    asyncio.run(bus.trim(TRIMMED))
    whole = TogetherLog(bus, lambda: read(tmp_path / "archive"))
    with pytest.raises(ArchiveError, match=r"has lost \S+ up to \d+, and the archive ends at"):
        records(whole)


def test_archiving_goes_on_from_a_log_that_was_trimmed(tmp_path: Path) -> None:
    bus, other = MemoryBus(), MemoryBus()
    asyncio.run(bus.publish(EVENTS[:200]))
    archived(bus, tmp_path / "archive")
    asyncio.run(bus.trim(TRIMMED))
    asyncio.run(bus.publish(EVENTS[200:]))
    asyncio.run(other.publish(EVENTS))
    archived(TogetherLog(bus, lambda: read(tmp_path / "archive")), tmp_path / "archive")
    archived(other, tmp_path / "undisturbed")
    assert contents(tmp_path / "archive") == contents(tmp_path / "undisturbed")


def test_the_audit_of_a_trimmed_run_says_what_it_said_before(run: Path) -> None:
    bus = SqliteBus(run / "log.sqlite")
    try:
        before = audit(bus, run)
        archived(bus, run / "archive", RUN, block=8)
        bases = {
            at: cursor.base
            for group in bus.groups()
            for at, cursor in bus.cursors(group).items()
            if at[0] in ("tasks", "attempts", "judgments")
        }
        asyncio.run(bus.trim(bases))
        assert sum(bus.starts().values()) > 50
        whole = TogetherLog(bus, lambda: read(run / "archive", RUN))
        assert audit(whole, run) == before and before.ok
    finally:
        asyncio.run(bus.close())


@pytest.mark.long
def test_a_trim_that_is_killed_is_gone_on_with(tmp_path: Path) -> None:
    path, faults = tmp_path / "log.sqlite", tmp_path / "faults"
    faults.mkdir()
    with log_of(path, EVENTS) as bus:
        archived(bus, tmp_path / "archive")
        before = records(bus)
    killed = 0
    while True:
        (faults / "bus.trimming").touch()
        words = [sys.executable, "-c", TRIM, str(path)]
        environment = {**os.environ, "EVOLVENT_FAULTS": str(faults)}
        code = subprocess.run(words, env=environment, check=False).returncode
        with log_of(path) as bus:
            assert records(TogetherLog(bus, lambda: read(tmp_path / "archive"))) == before
        if not code:
            break
        assert code == -9
        killed += 1
    assert killed == 12
