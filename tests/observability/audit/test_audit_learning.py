"""What was lost or learned from twice is found, by the right code."""

import json
from pathlib import Path
from typing import Any

import pytest

from bus.events import (
    derive_id,
)
from bus.records import Record
from tests.observability.audit.audit_faults import (
    audited,
    codes,
    folder_of,
    forge_manifest,
    forge_row,
    log_of,
    rows,
    says,
    without_versions,
)
from tests.observability.audit.audited_run import RUN, TASKS, VERSIONS, Life, make, take_all
from trainer.checkpoint.manifest import MANIFEST


def test_a_judgment_trained_in_two_versions(run: Path) -> None:
    first = json.loads((folder_of(run, 2) / MANIFEST).read_text())["trained"][0]

    def again(manifest: dict[str, Any]) -> None:
        manifest["trained"].append(first)

    for number in range(4, VERSIONS + 1):
        forge_manifest(run, number, lambda m: m["weights"].update(consumed=_more(m)))
    forge_manifest(run, 4, again)
    found = audited(run)
    assert codes(found) == {"I2"}
    assert says(found, "I2", first["id"], "trained by version 2", "trained again by version 4")
    assert found.counts["trained_twice"] == 1


def _more(manifest: dict[str, Any]) -> int:
    return int(manifest["weights"]["consumed"]) + 1


def test_a_duplicate_that_the_trainer_recognised_is_no_fault(run: Path) -> None:
    first = json.loads((folder_of(run, 2) / MANIFEST).read_text())["trained"][0]
    forge_manifest(run, 4, lambda m: m["dropped"].append({**first, "reason": "duplicate"}))
    found = audited(run)
    assert found.violations == []
    assert found.counts["dropped/duplicate"] == 1


def test_a_judgment_done_and_in_no_manifest(run: Path) -> None:
    removed = json.loads((folder_of(run, 3) / MANIFEST).read_text())["trained"][0]
    forge_manifest(run, 3, lambda m: m["trained"].pop(0))
    found = audited(run)
    place = f"{removed['topic']}/{removed['partition']}/{removed['offset']}"
    assert says(found, "I1", place, "no version trained")
    assert found.counts["lost"] == 1
    assert says(found, "I5", "version 3", "no more work")


def test_a_manifest_that_names_a_foreign_id(run: Path) -> None:
    forge_manifest(run, 3, lambda m: m["trained"][0].update(id="cd" * 16))
    assert says(audited(run), "I5", "version 3", "cd" * 16)


def test_a_manifest_that_names_a_position_beyond_the_log(run: Path) -> None:
    forge_manifest(run, 3, lambda m: m["trained"][0].update(offset=9_999))
    assert says(audited(run), "I5", "version 3", "/9999", "went back")


def test_consumed_but_not_done(run: Path) -> None:
    with log_of(run) as log:
        log.execute(
            "UPDATE cursor SET base = 0, done = '' WHERE grp = 'trainer' AND topic = 'refusals'"
        )
    assert says(audited(run), "I5", "refusals/0/0", "not done for group trainer")


def test_answered_but_not_done(run: Path) -> None:
    with log_of(run) as log:
        log.execute("UPDATE cursor SET base = 0, done = '' WHERE grp = 'solver'")
    assert says(audited(run), "I5", "tasks/", "not done for group solver")


def test_a_task_done_and_never_attempted(run: Path) -> None:
    part, off, _ = next(row for row in rows(run, "tasks") if row[2] == _open_task(run))
    with log_of(run) as log:
        log.execute(
            "UPDATE cursor SET base = ?, done = '' "
            "WHERE grp = 'solver' AND topic = 'tasks' AND part = ?",
            (off + 1, part),
        )
    found = audited(run)
    assert says(found, "I1", f"tasks/{part}/{off}", "solver")
    assert found.counts["lost"] == 1


def _open_task(run: Path) -> str:
    [newest] = [row[2] for row in rows(run, "weights") if row[1] == VERSIONS]
    return derive_id(RUN, "proposer", newest, 90)


@pytest.mark.parametrize(("version", "stale"), [(2, False), (1, True), (9, True)])
def test_attempts_staler_than_allowed(tmp_path: Path, version: int, stale: bool) -> None:
    """Version 5 may learn from what version 2 drew; version 9 did not exist."""

    async def script(life: Life) -> None:
        await life.live(4)
        await life.round(version=version)
        await life.learn(await take_all(life.trainer))

    found = audited(make(tmp_path / "run", script))
    assert codes(found) == ({"I11"} if stale else set())
    if stale:
        assert says(found, "I11", "version 5", f"drawn by version {version}")


@pytest.mark.parametrize(("version", "stale"), [(2, False), (1, True), (9, True)])
def test_without_the_header_the_body_says_how_stale_an_attempt_is(
    tmp_path: Path, version: int, stale: bool
) -> None:
    async def script(life: Life) -> None:
        await life.live(4)
        await life.round(version=version)
        await life.learn(await take_all(life.trainer))

    run = make(tmp_path / "run", script)
    without_versions(run, "judgments")
    found = audited(run)
    assert codes(found) == ({"I11"} if stale else set())
    if stale:
        assert says(found, "I11", "version 5", f"drawn by version {version}")


@pytest.mark.parametrize("version", [0, 9])
def test_where_nothing_may_be_learned_from_nothing_is_stale(tmp_path: Path, version: int) -> None:
    """Whoever drew it: an opponent may be of any version, or of another chain of them."""

    async def script(life: Life) -> None:
        await life.live(4)
        await life.round(version=version, trainable=False)
        await life.learn(await take_all(life.trainer))

    run = make(tmp_path / "run", script)
    with log_of(run) as log:
        untold = log.execute(
            "SELECT count(*) FROM log WHERE topic = 'judgments' "
            "AND headers NOT LIKE '%ce_modelversion%'"
        ).get
    assert untold == TASKS
    assert audited(run).violations == []


def test_a_judgment_that_nobody_can_have_learned_from(run: Path) -> None:
    trained = json.loads((folder_of(run, 2) / MANIFEST).read_text())["trained"][0]
    place = (trained["partition"], trained["offset"])
    forge_row(run, "judgments", *place, b"garbage", ce_modelversion="")
    found = audited(run)
    assert codes(found) == {"I11"}
    assert says(found, "I11", "version 2", trained["id"], "cannot be read")


def test_a_topic_that_no_version_may_consume(run: Path) -> None:
    part, off, event_id = rows(run, "tasks")[0]
    stranger = {"id": event_id, "topic": "tasks", "partition": part, "offset": off}
    forge_manifest(run, 4, lambda m: m["trained"].append(stranger))
    assert says(audited(run), "I5", "version 4", f"tasks/{part}/{off}", "no version may consume")


@pytest.mark.parametrize("headers", [{}, {"ce_id": "F" * 32}])
def test_a_record_without_a_valid_id_that_the_trainer_dropped_is_no_fault(
    tmp_path: Path, headers: dict[str, str]
) -> None:
    async def poisoned(life: Life) -> None:
        await life.round()
        stranger = Record(
            topic="judgments", partition=0, offset=-1, key="", headers=headers, value=b"garbage"
        )
        await life.bus.append([stranger])
        await life.learn(await take_all(life.trainer))

    found = audited(make(tmp_path / "run", poisoned))
    assert found.violations == []
    assert found.counts["unreadable"] == 1
    assert "pending/judgments" not in found.counts
