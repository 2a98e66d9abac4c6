"""Faults planted into the log are found, by the right code."""

import asyncio
from base64 import b85encode
from pathlib import Path

import pytest

from bus.events import Control, Task, derive_id
from bus.sqlite.bus import SqliteBus
from bus.sqlite.log import checksum
from observability.audit.findings import Findings
from observability.audit.reading import readable
from observability.audit.scan import scan
from tests.observability.audit.audit_faults import audited, codes, cut, log_of, rows, says
from tests.observability.audit.audited_run import (
    RUN,
    TASKS,
    VERSIONS,
    Life,
    attempt_of,
    make,
    reject,
    take_all,
    task_of,
)


@pytest.mark.parametrize("topic", ["tasks", "attempts", "judgments", "weights", "control"])
def test_a_removed_row(run: Path, topic: str) -> None:
    part, off, event_id = rows(run, topic)[0]
    with log_of(run) as log:
        log.execute("DELETE FROM log WHERE event_id = ?", (bytes.fromhex(event_id),))
    found = audited(run)
    assert says(found, "I5", f"{topic}/{part}/{off}")
    assert found.violations[0].code == "I5"
    assert found.counts["lost"] > 0


@pytest.mark.parametrize("topic", ["tasks", "attempts", "judgments", "weights", "tasks.dead"])
def test_a_flipped_byte_in_a_log_row(run: Path, topic: str) -> None:
    part, off, event_id = rows(run, topic)[0]
    with log_of(run) as log:
        where = (bytes.fromhex(event_id),)
        value = bytearray(log.execute("SELECT value FROM log WHERE event_id = ?", where).get)
        value[len(value) // 2] ^= 1
        log.execute("UPDATE log SET value = ? WHERE event_id = ?", (bytes(value), *where))
    found = audited(run)
    assert says(found, "I5", f"{topic}/{part}/{off}", "checksum")
    assert found.counts["lost"] >= 1


def test_only_the_damaged_record_of_a_page_is_called_lost(run: Path) -> None:
    part, off, event_id = rows(run, "tasks")[1]
    with log_of(run) as log:
        log.execute("UPDATE log SET crc = crc + 1 WHERE event_id = ?", (bytes.fromhex(event_id),))
    found = audited(run)
    assert found.counts["events/tasks"] == TASKS * VERSIONS + 1
    assert says(found, "I5", f"record tasks/{part}/{off} cannot be read")


@pytest.mark.parametrize("topic", ["tasks", "attempts", "judgments", "refusals", "tasks.dead"])
def test_a_cut_tail_of_the_log(run: Path, topic: str) -> None:
    cut(run, topic, 3)
    found = audited(run)
    assert says(found, "I5", "the log went back from", f"{topic}/")
    assert found.violations[0].code == "I5"


def test_a_cut_tail_of_several_topics_together(run: Path) -> None:
    for topic in ("tasks", "attempts", "judgments", "weights"):
        cut(run, topic, 2)
    found = audited(run)
    assert "the log went back from" in found.violations[0].sentence
    assert says(found, "I5", f"from version {VERSIONS}", f"to {VERSIONS - 2}")


@pytest.mark.parametrize("number", [1, 2, VERSIONS + 1])
def test_a_cut_tail_of_weights(run: Path, number: int) -> None:
    """With one version cut, the newest checkpoint looks as if it awaited publication."""
    cut(run, "weights", number)
    cut(run, "curricula", number)
    assert says(audited(run), "I5", f"the log went back from version {VERSIONS}")


def test_a_lost_tail_that_the_heads_still_remember(run: Path) -> None:
    with log_of(run) as log:
        log.execute("DELETE FROM log WHERE topic = 'judgments' AND off >= 4")
    assert says(audited(run), "I5", "judgments/")


def test_a_cursor_beyond_the_log_and_a_damaged_one(run: Path) -> None:
    unknown_kind = b85encode(b"\xe1X\x01\x01").decode()
    with log_of(run) as log:
        log.execute("UPDATE cursor SET base = 99 WHERE grp = 'proposer'")
        log.execute("UPDATE cursor SET done = ? WHERE grp = 'critic'", (unknown_kind,))
    found = audited(run)
    assert says(found, "I5", "proposer", "went back from weights/0/99")
    assert says(found, "I5", "critic", "damaged")


def test_a_group_of_no_role_is_held_to_the_log_too(tmp_path: Path) -> None:
    async def script(life: Life) -> None:
        await life.live(2)
        async with life.bus.subscribe(["control"], "archive", "archive-1") as archive:
            await archive.complete(await archive.take(1), [])

    run = make(tmp_path / "run", script)
    assert audited(run).violations == []
    cut(run, "control", 1)
    assert says(audited(run), "I5", "group archive", "went back from control/0/1", "to 0")


def test_an_event_that_answers_nothing_on_the_log(tmp_path: Path) -> None:
    async def script(life: Life) -> None:
        assert life.head is not None
        stray = task_of(life.head.model_copy(update={"id": "ef" * 16}), 0)
        await life.bus.publish([stray])

    assert says(audited(make(tmp_path / "run", script)), "I3", "ef" * 16, "weights")


def objective() -> Control:
    return Control(
        id=derive_id(RUN, "operator", "objective"),
        run=RUN,
        agent="operator",
        command="objective",
        settings={"advance_at": 0.5},
    )


async def say_curriculum(life: Life, objective: str) -> None:
    [*_, record] = life.bus.read("curricula")
    state = record.event().model_copy(
        update={"id": "ef" * 16, "agent": "another", "objective": objective}
    )
    await life.bus.publish([state])


def test_a_curriculum_by_an_objective_of_the_operator(tmp_path: Path) -> None:
    async def script(life: Life) -> None:
        await life.live(1)
        await life.bus.publish([objective()])
        await say_curriculum(life, objective().id)

    run = make(tmp_path / "run", script)
    assert audited(run).violations == []
    bus = SqliteBus(run / "log.sqlite", read_only=True)
    findings = Findings()
    # On a live run the ends of the topics are not read in one moment.
    ends = {**bus.heads(), ("control", 0): 1}
    scan(bus, ends, RUN, findings, lambda what, done, whole: None, tmp_path)
    asyncio.run(bus.close())
    assert findings.violations == []


@pytest.mark.parametrize("topic", [None, "weights"], ids=["nowhere", "on another topic"])
def test_a_curriculum_by_an_objective_that_nobody_gave(tmp_path: Path, topic: str | None) -> None:
    named = "cd" * 16

    async def script(life: Life) -> None:
        nonlocal named
        await life.live(1)
        named = rows(life.folder, topic)[0][2] if topic else named
        await say_curriculum(life, named)

    found = audited(make(tmp_path / "run", script))
    assert codes(found) == {"I3"}
    assert says(found, "I3", "ef" * 16, "curricula/0/", f"objective {named}", "topic control")


def test_a_second_attempt_at_a_task(tmp_path: Path) -> None:
    async def script(life: Life) -> None:
        await life.live(1)
        record = next(life.bus.read("tasks", rows(life.folder, "tasks")[0][0]))
        task = record.event()
        assert isinstance(task, Task)
        await life.bus.publish([attempt_of(task, index=1)])

    found = audited(make(tmp_path / "run", script))
    assert codes(found) == {"I2"}
    assert says(found, "I2", "attempt", "second")


def test_a_dead_letter_about_nothing_and_a_second_one(tmp_path: Path) -> None:
    async def script(life: Life) -> None:
        await life.live(2)
        [letter] = [record.event() for record in life.bus.read("tasks.dead")]
        await life.bus.publish(
            [
                letter.model_copy(update={"id": "01" * 16}),
                letter.model_copy(update={"id": "02" * 16, "origin_offset": 77}),
            ]
        )

    found = audited(make(tmp_path / "run", script))
    assert codes(found) == {"I7"}
    assert says(found, "I7", "second about tasks/")
    assert says(found, "I7", "/77, which is not on the log")


def test_a_dead_letter_about_a_record_that_is_not_done(tmp_path: Path) -> None:
    async def script(life: Life) -> None:
        assert life.head is not None
        await life.bus.publish([task_of(life.head, 0)])
        [delivery] = await take_all(life.solver)
        await life.bus.publish([reject(delivery, "solver")])

    assert says(audited(make(tmp_path / "run", script)), "I7", "not done")


def test_a_repeated_id_on_a_bus_that_does_not_refuse_it(run: Path) -> None:
    """The file's own index has to go first."""
    part, off, event_id = rows(run, "control")[0]
    with log_of(run) as log:
        columns = "topic, part, off, event_id, key, headers, value, crc"
        row = log.execute(f"SELECT {columns} FROM log WHERE topic = 'control'").get
        log.execute("ALTER TABLE log RENAME TO old")
        log.execute("CREATE TABLE log AS SELECT * FROM old")
        crc = checksum("control", part, off + 1, row[4], row[5], row[6])
        log.execute(
            f"INSERT INTO log ({columns}) VALUES (?,?,?,?,?,?,?,?)",
            (*row[:2], off + 1, *row[3:7], crc),
        )
        log.execute("UPDATE head SET next = 2 WHERE topic = 'control'")
    found = audited(run)
    assert codes(found) == {"I2"}
    assert says(found, "I2", event_id, "control/0/0", "control/0/1")
    assert found.counts["duplicated"] == 1


def test_unreadable_records_do_not_hide_their_neighbours(run: Path) -> None:
    with log_of(run) as log:
        log.execute("DELETE FROM log WHERE topic = 'refusals' AND off IN (1, 2)")
    bus = SqliteBus(run / "log.sqlite", read_only=True)
    findings = Findings()
    offsets = [record.offset for record in readable(bus, ("refusals", 0), VERSIONS, findings)]
    asyncio.run(bus.close())
    assert offsets == [0, 3, 4]
    assert len(findings.violations) == 1 and findings.counts["lost"] == 2


def test_a_dead_letter_of_another_group_excuses_nobody(tmp_path: Path) -> None:
    async def script(life: Life) -> None:
        assert life.head is not None
        await life.bus.publish([task_of(life.head, 0)])
        [delivery] = await take_all(life.solver)
        other = life.bus.subscribe(["tasks"], "archive", "archive-1")
        [same] = await take_all(other)
        await other.complete([same], [reject(same, "archive")])
        await life.solver.complete([delivery], [])
        await other.close()

    found = audited(make(tmp_path / "run", script))
    assert codes(found) == {"I1"}
    assert found.counts["lost"] == 1
