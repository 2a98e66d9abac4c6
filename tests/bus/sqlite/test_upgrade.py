"""A log of schema 1: it is read and written as it is, and upgraded whole or not at all."""

import asyncio
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from base64 import b85encode
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from bus.cursor import MAGIC, Cursor
from bus.errors import BusError
from bus.records import Record
from bus.sqlite.bus import SqliteBus
from bus.sqlite.file import SCHEMA_VERSION
from bus.sqlite.upgrade import upgrade
from tests.bus.contract.saying import answer_to, control, take_all
from tests.bus.sqlite.former_log import make_former, schema_of

COUNT = 9_000
BITMAP = b85encode(bytes([MAGIC]) + b"B" + b"\x05" + bytes([0b10110])).decode()
"""Done beyond base 7: 9, 10 and 12."""

UPGRADE = """
import sys
from pathlib import Path
from bus.sqlite.upgrade import upgrade
print("ready", flush=True)
upgrade(Path(sys.argv[1]), lambda *_: None)
"""


def unheard(what: str, done: int, whole: int) -> None:
    pass


async def _write(path: Path) -> None:
    bus = SqliteBus(path)
    await bus.publish([control(index) for index in range(COUNT)])
    async with bus.subscribe(["control"], "group", "member") as subscription:
        taken = await take_all(subscription, 300)
        await subscription.complete(taken[:200], [answer_to(one) for one in taken[:200]])
        await subscription.complete(taken[250:], [])
    await bus.close()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("former") / "log.db"
    asyncio.run(_write(path))
    make_former(path)
    return path


@pytest.fixture
def former(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(made, tmp_path / "log.db"))


def content(path: Path) -> tuple[list[Record], dict[tuple[str, int], Cursor]]:
    bus = SqliteBus(path, read_only=True)
    try:
        records = [record for stream in sorted(bus.heads()) for record in bus.read(*stream)]
        for record in records[::500]:
            assert bus.find(record.event_id) == record
        assert bus.find("f" * 32) is None
        return records, bus.cursors("group")
    finally:
        asyncio.run(bus.close())


def test_it_is_read_and_written_as_it_is(former: Path) -> None:
    async def scenario() -> None:
        bus = SqliteBus(former)
        await bus.publish([control(0), control(COUNT)])
        assert bus.heads()["control", 0] == COUNT + 1
        found = bus.find(control(COUNT).id)
        assert found is not None and found.offset == COUNT
        async with bus.subscribe(["control"], "group", "member") as subscription:
            assert subscription.cursors()["control", 0] == Cursor(200, ((250, 300),))
            (one,) = await take_all(subscription, 1)
            await subscription.complete([one], [answer_to(one)])
            await subscription.complete([one], [answer_to(one)])
        assert bus.heads()["promotions", 0] == 201
        await bus.close()

    before = content(former)[0]
    asyncio.run(scenario())
    after = {(one.topic, one.offset): one for one in content(former)[0]}
    assert [after[one.topic, one.offset] for one in before] == before
    assert schema_of(former)[0] == 1


def test_it_is_upgraded_to_what_a_new_log_is(former: Path, tmp_path: Path) -> None:
    before = content(former)
    said: list[int] = []
    assert upgrade(former, lambda _, done, whole: said.append(done * 100 // whole))
    assert said == [0, 100]
    assert content(former) == before
    asyncio.run(SqliteBus(tmp_path / "new.db").close())
    assert schema_of(former) == schema_of(tmp_path / "new.db")
    assert not upgrade(former, unheard)

    async def go_on() -> None:
        bus = SqliteBus(former)
        await bus.publish([control(index) for index in range(COUNT + 5_000)])
        assert bus.heads()["control", 0] == COUNT + 5_000
        await bus.close()

    asyncio.run(go_on())
    assert len(content(former)[0]) == COUNT + 5_200
    assert schema_of(former)[2] == "ok"


def test_cursors_of_former_kinds_are_read_and_rewritten(former: Path) -> None:
    connection = apsw.Connection(str(former))
    connection.execute("UPDATE cursor SET base = 7, done = ?", (BITMAP,))
    wanted = Cursor(7, ((9, 11), (12, 13)))
    assert content(former)[1] == {("control", 0): wanted}
    upgrade(former, unheard)
    assert content(former)[1] == {("control", 0): wanted}
    assert connection.execute("SELECT done FROM cursor").get == wanted.encode() != BITMAP
    connection.close()


def test_who_has_it_open_goes_on(former: Path) -> None:
    async def scenario() -> None:
        reader, writer = SqliteBus(former, read_only=True), SqliteBus(former)
        await writer.publish([control(0), control(COUNT)])
        assert upgrade(former, unheard)
        await writer.publish([control(0), control(COUNT), control(COUNT + 1)])
        for bus in (reader, writer):
            assert bus.heads()["control", 0] == COUNT + 2
            for index in (0, COUNT // 2, COUNT, COUNT + 1):
                found = bus.find(control(index).id)
                assert found is not None and found.offset == index
            await bus.close()

    asyncio.run(scenario())
    assert schema_of(former)[2] == "ok"


def killed(path: Path, *, armed: str = "", after_seconds: float = 20.0) -> None:
    """An upgrade in a process that is killed at a point, or after a time."""
    faults = path.parent / "faults"
    faults.mkdir(exist_ok=True)
    if armed:
        (faults / armed).touch()
    process = subprocess.Popen(
        [sys.executable, "-c", UPGRADE, str(path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "EVOLVENT_FAULTS": str(faults)},
    )
    assert process.stdout is not None and process.stdout.readline()
    if not armed:
        time.sleep(after_seconds)
        process.kill()
    assert process.wait(after_seconds if armed else 20) in (-signal.SIGKILL, 0)
    process.stdout.close()


def check_whole(path: Path, before: object, version: int | None = None) -> None:
    assert content(path) == before
    found, _, pages = schema_of(path)
    assert found in ({1, SCHEMA_VERSION} if version is None else {version}) and pages == "ok"


@pytest.mark.parametrize(
    ("point", "version"),
    [
        ("upgrade.segment", 1),
        ("upgrade.committing", 1),
        ("upgrade.committed", SCHEMA_VERSION),
    ],
)
def test_killed_at_a_point_it_is_old_or_new(former: Path, point: str, version: int) -> None:
    before = content(former)
    killed(former, armed=point)
    check_whole(former, before, version)
    assert upgrade(former, unheard) == (version == 1)
    check_whole(former, before, SCHEMA_VERSION)


def test_killed_at_any_moment_it_is_old_or_new(former: Path) -> None:
    before, dice, kills = content(former), random.Random(7), 0
    while schema_of(former)[0] == 1 and kills < 8:
        killed(former, after_seconds=dice.uniform(0.0, 0.04))
        check_whole(former, before)
        kills += 1
    upgrade(former, unheard)
    check_whole(former, before, SCHEMA_VERSION)


def test_it_waits_for_nobody_who_writes(former: Path) -> None:
    neighbour = apsw.Connection(str(former))
    neighbour.execute("BEGIN IMMEDIATE")
    with pytest.raises(BusError, match="is held by"):
        upgrade(former, unheard)
    neighbour.execute("ROLLBACK")
    neighbour.close()
    assert schema_of(former)[0] == 1


def test_a_disk_without_room_is_named_before_anything_is_done(
    former: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage: Callable[[Path], object] = lambda _: shutil._ntuple_diskusage(9, 9, 1000)  # noqa: E731
    monkeypatch.setattr("bus.sqlite.upgrade.shutil.disk_usage", usage)
    with pytest.raises(BusError, match="make room; nothing was changed"):
        upgrade(former, unheard)
    assert schema_of(former)[0] == 1


def test_what_is_no_log_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BusError, match="no log at"):
        upgrade(tmp_path / "missing.db", unheard)
    connection = apsw.Connection(str(tmp_path / "foreign.db"))
    connection.execute("CREATE TABLE notes (text)")
    connection.close()
    with pytest.raises(BusError, match="another program"):
        upgrade(tmp_path / "foreign.db", unheard)
