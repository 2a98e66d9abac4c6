"""What must be remembered of every event is on disk, and in memory a part that does not grow."""

import asyncio
import errno
import os
import struct
import tracemalloc
from pathlib import Path

import pytest

from benchmarks.audit import events, write
from bus.sqlite.bus import SqliteBus
from observability.audit.audit import audit
from observability.audit.facts import links, pages, spool
from observability.audit.facts.links import CAUSE, EVENT, Links, Place
from observability.audit.facts.pages import ANSWERED, Pages
from observability.audit.facts.spool import Spool, scratch
from tests.observability.audit.audit_faults import audited


def small(patch: pytest.MonkeyPatch) -> None:
    """So that a short log has many buckets."""
    patch.setattr(links, "EVENTS_AT_ONCE", 128)
    patch.setattr(pages, "OFFSETS_AT_ONCE", 64)
    patch.setattr(spool, "WAITING_BYTES", 1 << 14)
    patch.setattr("bus.sqlite.log.PAGE_RECORDS", 32)


def peak_of(run: Path, number: int) -> int:
    run.mkdir()
    asyncio.run(write(run / "log.sqlite", events(number)))
    bus = SqliteBus(run / "log.sqlite", read_only=True)
    tracemalloc.start()
    try:
        found = audit(bus, run)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        asyncio.run(bus.close())
    assert found.counts["events/judgments"] == number // 3
    return peak


def test_memory_is_flat_in_the_number_of_events(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small(monkeypatch)
    short, long = peak_of(tmp_path / "short", 1500), peak_of(tmp_path / "long", 9000)
    assert long < 1.2 * short


def test_what_it_finds_does_not_depend_on_how_much_is_in_memory(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = audited(run)
    small(monkeypatch)
    monkeypatch.setattr(links, "EVENTS_AT_ONCE", 2)
    monkeypatch.setattr(pages, "OFFSETS_AT_ONCE", 2)
    monkeypatch.setattr(spool, "WAITING_BYTES", 200)
    assert audited(run) == whole


def test_nothing_is_left_behind(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = tmp_path / "room"
    room.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(room))
    audited(run)
    assert list(room.iterdir()) == []


def test_a_disk_without_room_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Spool(tmp_path / "spool", struct.Struct("<Q"))
    monkeypatch.setattr(spool, "WAITING_BYTES", 8)
    (tmp_path / "spool" / "3").symlink_to("/dev/full")
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)) as raised:
        kept.add(3, 1)
    assert raised.value.errno == errno.ENOSPC
    assert raised.value.filename == str(tmp_path)


@pytest.mark.parametrize("waiting", [1, 100, 1 << 20])
def test_rows_come_back_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, waiting: int
) -> None:
    monkeypatch.setattr(spool, "WAITING_BYTES", waiting)
    kept = Spool(tmp_path / "spool", struct.Struct("<Q"))
    for number in range(3000):
        kept.add(number % 3, number)
    assert [number for (number,) in kept.rows(1)] == list(range(1, 3000, 3))
    assert list(kept.rows(7)) == []


def test_links_join_across_buckets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "EVENTS_AT_ONCE", 8)
    with scratch() as folder:
        found = Links(folder / "links", 1000)
        for number in range(500):
            found.add(EVENT, number.to_bytes(16), Place(number, 0, 0))
        for number in range(500):
            found.add(CAUSE, (number + 1).to_bytes(16), Place(500 + number, 0, 0))
        found.add(EVENT, (7).to_bytes(16), Place(1000, 0, 0))
        joined = list(found.joined())
    firsts = {link.place.at: link.first and link.first.at for link in joined}
    assert firsts == {**{500 + n: n + 1 for n in range(499)}, 999: None, 1000: 7}


def test_facts_are_in_their_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "OFFSETS_AT_ONCE", 4)
    kept = Pages(tmp_path / "pages", [9, 0, 5])
    for stream, offset in ((0, 8), (2, 3), (2, 4), (0, 3)):
        kept.add(stream, ANSWERED, offset, 10 * offset)
    spans = {stream: list(kept.spans(stream)) for stream in range(3)}
    assert spans == {0: [(0, 4), (4, 8), (8, 9)], 1: [], 2: [(0, 4), (4, 5)]}
    answers = {
        (stream, fact.offset, fact.first)
        for stream, low in ((0, 0), (0, 4), (0, 8), (2, 0), (2, 4))
        for fact in kept.page(stream, low).answers
    }
    assert answers == {(0, 8, 80), (2, 3, 30), (2, 4, 40), (0, 3, 30)}
