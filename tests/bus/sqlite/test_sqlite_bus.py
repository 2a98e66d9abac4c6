"""What only the SQLite driver has: several processes on one file, kills, damage, a full disk."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import apsw
import psutil
import pytest

from bus.errors import BusError, Fenced
from bus.events import Control, Promotion, Task, derive_id
from bus.records import Record
from bus.sqlite.bus import SqliteBus
from bus.sqlite.file import SCHEMA_VERSION
from bus.topics import TOPICS, Topic
from tests.bus.contract.saying import until

WORKER = """
import asyncio, sys
from pathlib import Path
from bus.events import Promotion, derive_id
from bus.sqlite.bus import SqliteBus

async def main(path, member):
    bus = SqliteBus(Path(path), lease_seconds=0.5)
    subscription = bus.subscribe(["tasks"], "group", member)
    print("ready", flush=True)
    while True:
        for taken in await subscription.take(3):
            answer = Promotion(
                id=derive_id("run", "worker", taken.record.event_id), run="run", agent=member,
                weights=taken.record.event_id, weights_version=taken.offset, decision="promoted",
            )
            await asyncio.sleep(0.001)
            await subscription.complete([taken], [answer])

asyncio.run(main(*sys.argv[1:]))
"""


def control(index: int, size: int = 1) -> Control:
    return Control(
        id=derive_id("run", "operator", str(index)),
        run="run",
        agent="operator",
        command="pause",
        settings={"text": "x" * size},
    )


def task(event_id: str) -> Task:
    return Task(
        id=event_id,
        run="run",
        agent="proposer",
        domain="strings",
        family="reverse",
        level=1,
        prompt="ab",
        question="ab",
        answer="ba",
        weights_version=0,
        granted_by=derive_id("run", "trainer", "0"),
        source="rule",
    )


def written(path: Path, count: int = 5) -> Path:
    """A log of `count` events on `control`, closed."""

    async def write() -> None:
        bus = SqliteBus(path)
        await bus.publish([control(index) for index in range(count)])
        await bus.close()

    asyncio.run(write())
    return path


def change(path: Path, sql: str) -> None:
    connection = apsw.Connection(str(path))
    connection.execute(sql)
    connection.close()


@contextmanager
def opened(path: Path, **options: bool) -> Iterator[SqliteBus]:
    bus = SqliteBus(path, **options)  # type: ignore[arg-type]
    try:
        yield bus
    finally:
        asyncio.run(bus.close())


def start(path: Path, member: str) -> "subprocess.Popen[str]":
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(path), member], stdout=subprocess.PIPE, text=True
    )
    return worker


def stop(workers: Sequence["subprocess.Popen[str]"]) -> None:
    for worker in workers:
        worker.kill()
        worker.wait()
        assert worker.stdout is not None
        worker.stdout.close()


@pytest.mark.timeout(900)
def test_killed_processes_lose_nothing_and_repeat_nothing(tmp_path: Path) -> None:
    path, dice = tmp_path / "log.db", random.Random(5)
    ids = [derive_id("run", "proposer", str(index)) for index in range(400)]

    async def publish(bus: SqliteBus, some: Sequence[str]) -> None:
        await bus.publish([task(event_id) for event_id in some])

    with opened(path) as bus:
        asyncio.run(publish(bus, ids[:200]))
        workers = {name: start(path, name) for name in ("one", "two", "three")}
        try:
            until, kills = time.monotonic() + 60, 0
            while bus.heads()["promotions", 0] < len(ids):
                assert time.monotonic() < until, "the workers came to a stop"
                if kills < 8:
                    time.sleep(dice.uniform(0.05, 0.3))
                    name = dice.choice(sorted(workers))
                    os.kill(workers[name].pid, signal.SIGKILL)
                    stop([workers[name]])
                    workers[name] = start(path, name)
                    asyncio.run(publish(bus, ids[200 + kills * 25 :][:25]))
                    kills += 1
                time.sleep(0.02)
        finally:
            stop(list(workers.values()))
        answered = [record.event() for record in bus.read("promotions")]
        assert sorted(e.weights for e in answered if isinstance(e, Promotion)) == sorted(ids)
        assert sum(lag.backlog for lag in bus.lag("group")) == 0


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    for options in ({"create": False}, {"read_only": True}):
        with pytest.raises(BusError, match=r"no log at .*missing\.db"):
            SqliteBus(tmp_path / "missing.db", **options)  # type: ignore[arg-type]
    with pytest.raises(BusError, match="cannot be opened"):
        SqliteBus(tmp_path / "nowhere" / "log.db")
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_another_program_is_refused(tmp_path: Path) -> None:
    change(tmp_path / "foreign.db", "CREATE TABLE notes (text)")
    (tmp_path / "text.db").write_text("not a database, but long enough to look like one" * 100)
    before = (tmp_path / "foreign.db").read_bytes()
    for options in ({}, {"read_only": True}):
        with pytest.raises(BusError, match="another program"):
            SqliteBus(tmp_path / "foreign.db", **options)  # type: ignore[arg-type]
        with pytest.raises(BusError, match="not a log of evolvent"):
            SqliteBus(tmp_path / "text.db", **options)  # type: ignore[arg-type]
    assert (tmp_path / "foreign.db").read_bytes() == before


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "log.db")
    change(path, f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    for read_only in (False, True):
        with pytest.raises(BusError, match="written by a newer evolvent"):
            SqliteBus(path, read_only=read_only)


def test_another_number_of_partitions_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "log.db")
    with pytest.raises(BusError, match="control has 1 partitions"):
        SqliteBus(path, topics={**TOPICS, "control": Topic(name="control", partitions=2)})


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE log SET value = replace(value, 'x', 'y') WHERE off = 3",
        "UPDATE log SET value = CAST(replace(value, 'x', 'y') AS BLOB) WHERE off = 3",
        "UPDATE log SET headers = replace(headers, 'operator', 'attacker') WHERE off = 3",
        "UPDATE log SET key = 'other' WHERE off = 3",
        "UPDATE log SET event_id = x'00112233445566778899aabbccddeeff' WHERE off = 3",
        "UPDATE log SET off = 99 WHERE off = 2; UPDATE log SET off = 2 WHERE off = 3;"
        "UPDATE log SET off = 3 WHERE off = 99",
        "DELETE FROM log WHERE off = 3",
    ],
)
def test_a_damaged_record_is_named_and_never_repaired(tmp_path: Path, sql: str) -> None:
    path = written(tmp_path / "log.db")
    change(path, sql)
    with opened(path) as bus:
        with pytest.raises(BusError, match=r"damaged at control/0/[23]"):
            list(bus.read("control"))

        async def take() -> None:
            subscription = bus.subscribe(["control"], "group", "member")
            with pytest.raises(BusError, match=r"damaged at control/0/[23]"):
                await subscription.take(10)

        asyncio.run(take())


def test_a_log_that_was_cut_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "log.db")
    change(path, "DELETE FROM log WHERE off >= 3")
    with opened(path) as bus:
        with pytest.raises(BusError, match="went back from 5 to 3"):
            list(bus.read("control"))
        with pytest.raises(BusError, match="went back from 5 to 3"):
            bus.subscribe(["control"], "group", "member")


def test_flipped_bytes_in_the_file_are_noticed(tmp_path: Path) -> None:
    path = written(tmp_path / "log.db", 200)
    content = bytearray(path.read_bytes())
    place = content.index(control(100).id.encode()) + 3
    content[place] ^= 1
    path.write_bytes(content)
    with opened(path) as bus, pytest.raises(BusError, match="damaged"):
        list(bus.read("control"))


def test_a_destroyed_page_is_an_error_in_plain_words(tmp_path: Path) -> None:
    path = written(tmp_path / "log.db", 200)
    content = bytearray(path.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(BusError, match="damaged"), opened(path) as bus:
        list(bus.read("control"))


def test_reading_only_follows_a_live_run_and_never_writes(tmp_path: Path) -> None:
    async def scenario() -> None:
        live = SqliteBus(tmp_path / "log.db")
        await live.publish([control(0)])
        watcher = SqliteBus(tmp_path / "log.db", read_only=True)
        following = watcher.follow("control")
        assert (await anext(following)).offset == 0
        coming = asyncio.ensure_future(anext(following))
        await live.publish([control(1)])
        assert (await asyncio.wait_for(coming, 5)).offset == 1
        assert watcher.heads() == live.heads()
        with pytest.raises(BusError, match="reading only"):
            await watcher.publish([control(2)])
        with pytest.raises(BusError, match="reading only"):
            watcher.subscribe(["control"], "group", "member")
        await following.aclose()  # type: ignore[attr-defined]
        await watcher.close()
        await live.close()

    asyncio.run(scenario())


READ = """
import asyncio, os, sys
from pathlib import Path
if os.getuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
from bus.errors import BusError
from bus.sqlite.bus import SqliteBus
path = Path(sys.argv[1])
bus = SqliteBus(path, read_only=True)
print(len(list(bus.read("control"))))
try:
    SqliteBus(path)
except BusError as error:
    print(error)
asyncio.run(bus.close())
"""


def test_headers_of_other_programs_are_read_as_they_were_written(tmp_path: Path) -> None:
    headers = {"half of a character": "\ud83d", "nothing": "", "a line": "\n\x00\u00e9"}
    written = Record(
        topic="control", partition=0, offset=0, key="all", headers=headers, value=b"{}"
    )
    bus = SqliteBus(tmp_path / "log.sqlite")
    asyncio.run(bus.append([written]))
    assert list(bus.read("control")) == [written]
    asyncio.run(bus.close())


def test_a_read_only_folder_can_be_read(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    path = written(folder / "log.db")
    for parent in tmp_path.parents[:3]:
        if parent.owner() == tmp_path.owner() and parent != Path("/tmp"):
            parent.chmod(0o755)
    tmp_path.chmod(0o755)
    path.chmod(0o444)
    folder.chmod(0o555)
    try:
        # Modules are loaded before the rights are dropped: the library may not be readable then.
        code = "import bus.sqlite.bus\n" + READ
        done = subprocess.run(
            [sys.executable, "-c", code, str(path)],
            check=False,
            capture_output=True,
            text=True,
            timeout=30,
        )
    finally:
        folder.chmod(0o755)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "5"
    assert "writable" in lines[1]


def test_a_full_disk_is_an_error_and_what_was_committed_stays(tmp_path: Path) -> None:
    async def scenario() -> None:
        bus = SqliteBus(tmp_path / "log.db")
        await bus.publish([control(0)])
        writer = bus._writer
        assert writer is not None
        pages = writer.submit(
            lambda transaction: transaction.connection.pragma("max_page_count", 60)
        )
        assert pages.result() == 60
        with pytest.raises(BusError, match="full"):
            await bus.publish([control(1, 1_000_000)])
        await bus.publish([control(2)])
        assert [record.offset for record in bus.read("control")] == [0, 1]
        assert bus.find(control(1).id) is None
        await bus.close()

    asyncio.run(scenario())


@contextmanager
def held(path: Path) -> Iterator[int]:
    """Another process is stopped while it writes; its number."""
    code = (
        "import sqlite3, sys, time\n"
        "log = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "log.execute('BEGIN IMMEDIATE')\n"
        "print('holds it', flush=True)\n"
        "time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None and process.stdout.readline()
        process.send_signal(signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)
        yield process.pid
    finally:
        process.kill()
        process.communicate()


def test_who_holds_the_log_is_named(tmp_path: Path) -> None:
    path = written(tmp_path / "log.db")
    bus = SqliteBus(path, patience_seconds=0.2)
    with held(path) as pid, pytest.raises(BusError, match=f"process {pid} .*which is stopped"):
        asyncio.run(bus.publish([control(9)]))
    asyncio.run(bus.publish([control(9)]))
    assert bus.find(control(9).id) is not None
    asyncio.run(bus.close())


def test_a_stopped_neighbour_costs_nobody_its_partitions(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, lease = written(tmp_path / "log.db"), 0.4

    async def scenario() -> None:
        buses = [SqliteBus(path, lease_seconds=lease, patience_seconds=None) for _ in range(2)]
        members = [
            bus.subscribe(["tasks"], "group", f"member{number}") for number, bus in enumerate(buses)
        ]
        shared = {"member0": 2, "member1": 2}
        await until(lambda: Counter(lag.owner for lag in buses[0].lag("group")) == shared)
        owners = [(lag.owner, lag.epoch) for lag in buses[0].lag("group")]
        assert len({owner for owner, _ in owners}) == 2
        with held(path) as pid:
            saying = asyncio.create_task(members[0].complete([], [control(9)]))
            await asyncio.sleep(8 * lease)
            assert not saying.done()
        await asyncio.wait_for(saying, 30)
        await asyncio.sleep(4 * lease)
        assert [(lag.owner, lag.epoch) for lag in buses[0].lag("group")] == owners
        assert f"waiting for process {pid}" in caplog.text
        for member, bus in zip(members, buses, strict=True):
            await member.close()
            await bus.close()

    asyncio.run(scenario())


def test_an_event_that_is_too_big_is_refused(tmp_path: Path) -> None:
    with opened(tmp_path / "log.db") as bus:
        with pytest.raises(BusError, match="are allowed"):
            asyncio.run(bus.publish([control(0, 17 * 1024 * 1024)]))
        assert bus.heads()["control", 0] == 0


def test_many_processes_may_create_the_log_at_once(tmp_path: Path) -> None:
    workers = [start(tmp_path / "log.db", f"worker{number}") for number in range(4)]
    try:
        for worker in workers:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "ready\n"
    finally:
        stop(workers)


def test_a_stopped_process_that_wakes_up_after_its_lease_is_fenced(tmp_path: Path) -> None:
    async def scenario() -> None:
        bus = SqliteBus(tmp_path / "log.db", lease_seconds=60)
        await bus.publish([control(0)])
        zombie = bus.subscribe(["control"], "group", "zombie")
        (taken,) = await zombie.take(1)
        other = SqliteBus(tmp_path / "log.db", lease_seconds=0.3)
        heir = other.subscribe(["control"], "group", "heir")
        (again,) = await heir.take(1, 5)
        answer = Promotion(
            id=derive_id("run", "zombie", "0"),
            run="run",
            agent="zombie",
            weights=control(0).id,
            weights_version=0,
            decision="promoted",
        )
        with pytest.raises(Fenced):
            await zombie.complete([taken], [answer])
        assert bus.members("group") == ["heir"]
        assert bus.heads()["promotions", 0] == 0
        await heir.complete([again], [])
        await zombie.close()
        await heir.close()
        await other.close()
        await bus.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("clock", [time.time() - 3 * 86_400, time.time() + 3 * 86_400])
def test_what_a_clock_said_of_a_lease_counts_for_nothing(tmp_path: Path, clock: float) -> None:
    """As files of earlier versions have it."""

    async def scenario() -> None:
        bus = SqliteBus(tmp_path / "log.db", lease_seconds=0.5)
        await bus.publish([control(0)])
        dead = SqliteBus(tmp_path / "log.db")
        taken = dead.subscribe(["control"], "group", "dead")
        assert await taken.take(1, 5)
        await dead.close()
        change(tmp_path / "log.db", f"UPDATE member SET lease_until = {clock}")
        async with bus.subscribe(["control"], "group", "heir") as heir:
            assert [lag.owner for lag in bus.lag("group")] == ["dead"]
            assert await heir.take(1, 5)
            assert [lag.owner for lag in bus.lag("group")] == ["heir"]
        await bus.close()

    asyncio.run(scenario())


def test_waiting_costs_next_to_nothing(tmp_path: Path) -> None:
    async def scenario() -> float:
        bus = SqliteBus(tmp_path / "log.db")
        async with bus.subscribe(["control"], "group", "member") as subscription:
            await subscription.take(1, 0.1)
            before = psutil.Process().cpu_times()
            assert await subscription.take(1, 2.0) == []
            after = psutil.Process().cpu_times()
        await bus.close()
        return after.user + after.system - before.user - before.system

    assert asyncio.run(scenario()) / 2.0 < 0.05
