"""An audit that goes on from a snapshot finds what a whole one does, and reads what came after."""

import asyncio
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bus.bus import Subscription
from bus.events import Curriculum, Task, Weights
from bus.sqlite.bus import SqliteBus
from observability.audit.audit import Audit, audit
from observability.audit.facts import snapshot as snapshots
from observability.audit.facts.snapshot import RefusedSnapshot
from tests.observability.audit.audit_faults import (
    audited,
    cut,
    folder_of,
    forge_manifest,
    forge_row,
    log_of,
    rows,
)
from tests.observability.audit.audited_run import Life, attempt_of, make, reject, take_all, task_of
from tests.observability.audit.test_audit_answers import evaluation_of
from trainer.checkpoint.manifest import MANIFEST

FIRST, MORE = 3, 3
LAST = FIRST + 2 + MORE


def since(run: Path, snapshot: Path | None, leave: Path | None = None, seen: Any = None) -> Audit:
    bus = SqliteBus(run / "log.sqlite", read_only=True)
    show = seen or (lambda what, done, whole: None)
    try:
        return audit(bus, run, since=snapshot, leave=leave, show=show)
    finally:
        asyncio.run(bus.close())


async def story(life: Life) -> None:
    """Versions, with a snapshot while tasks are open and another while judgments are."""
    await life.live(FIRST)
    async with life.bus.subscribe(["weights"], "evaluator", "evaluator-1") as evaluator:
        await evaluate(evaluator)
        await go_on(life)
        await evaluate(evaluator)


async def evaluate(evaluator: Subscription) -> None:
    for delivery in await take_all(evaluator):
        weights = delivery.event()
        assert isinstance(weights, Weights)
        await evaluator.complete([delivery], [evaluation_of(weights)])


async def go_on(life: Life) -> None:
    await life.propose()
    await leave(life, None, 0)
    await life.solve()
    await life.learn(await take_all(life.trainer))
    await life.round(poison=True)
    await leave(life, 0, 1)
    await life.learn(await take_all(life.trainer))
    await life.live(MORE)


async def leave(life: Life, previous: int | None, number: int) -> None:
    before = None if previous is None else life.folder.with_name(f"snapshot-{previous}")
    left = life.folder.with_name(f"snapshot-{number}")
    found = await asyncio.to_thread(since, life.folder, before, left)
    assert found.ok, found.violations
    found_open = snapshots.read(left).open
    assert any(found_open.values())
    # Versions that proposer and evaluator have answered are not carried on.
    assert life.head is not None
    assert len(found_open["weights/0"]) < life.head.number


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lived")
    make(folder / "run", story)
    return folder


@pytest.fixture
def grown(lived: Path, tmp_path: Path) -> Path:
    """Two snapshots, the second left by an audit that went on from the first."""
    return shutil.copytree(lived, tmp_path / "grown") / "run"


def both(run: Path, index: int = 0) -> tuple[Audit, Audit]:
    whole = audited(run)
    return whole, replace(since(run, run.with_name(f"snapshot-{index}")), since=None)


@pytest.mark.parametrize("index", [0, 1])
def test_two_audits_equal_one_whole_one(grown: Path, index: int) -> None:
    whole, resumed = both(grown, index)
    assert whole.ok
    # The files of versions from before are not read again.
    checked = {**resumed.counts, "files_checked": whole.counts["files_checked"]}
    assert (checked, resumed.violations) == (whole.counts, whole.violations)


def test_only_what_came_after_is_read(grown: Path) -> None:
    seen: list[tuple[str, int]] = []
    found = since(
        grown,
        grown.with_name("snapshot-1"),
        seen=lambda what, done, whole: seen.append((what, whole)),
    )
    new = {whole for what, whole in seen if what == "events"}
    assert found.since is not None
    assert new == {found.counts["events"] - found.since}


def publish(grown: Path, *events: Any) -> None:
    async def write() -> None:
        bus = SqliteBus(grown / "log.sqlite")
        await bus.publish(list(events))
        await bus.close()

    asyncio.run(write())


def event_at(run: Path, topic: str, index: int) -> Any:
    part, offset, _ = rows(run, topic)[index]
    bus = SqliteBus(run / "log.sqlite", read_only=True)
    try:
        [record] = bus.read(topic, part, offset, offset + 1)
        return record.event()
    finally:
        asyncio.run(bus.close())


def second_attempt(run: Path) -> None:
    task = event_at(run, "tasks", 1)
    assert isinstance(task, Task)
    publish(run, attempt_of(task, index=1))


def cause_never_existed(run: Path) -> None:
    weights = event_at(run, "weights", -1)
    publish(run, task_of(weights.model_copy(update={"id": "ef" * 16}), 0))


def second_curriculum(run: Path) -> None:
    said = event_at(run, "curricula", 0)
    assert isinstance(said, Curriculum)
    publish(run, said.model_copy(update={"id": "ab" * 16}))


def second_evaluation(run: Path) -> None:
    publish(run, evaluation_of(event_at(run, "weights", 1), "again"))


def evaluation_missing(run: Path) -> None:
    cut(run, "evaluations", 1)


def second_letter(run: Path) -> None:
    letter = event_at(run, "tasks.dead", 0)
    publish(run, letter.model_copy(update={"id": "ac" * 16}))


def trained_again(run: Path) -> None:
    first = json.loads((folder_of(run, 2) / MANIFEST).read_text())["trained"][0]

    def again(manifest: dict[str, Any]) -> None:
        manifest["trained"].append(first)

    forge_manifest(run, LAST, lambda m: m["weights"].update(consumed=m["weights"]["consumed"] + 1))
    forge_manifest(run, LAST, again)


def never_trained(run: Path) -> None:
    forge_manifest(run, LAST, lambda m: m["trained"].pop(0))


def weights_changed(run: Path) -> None:
    (folder_of(run, LAST) / "model.safetensors").write_bytes(b"another")


def stale(run: Path) -> None:
    part, offset, _ = rows(run, "judgments")[-1]
    value = event_at(run, "judgments", -1)
    text = value.model_dump_json().encode()
    forge_row(run, "judgments", part, offset, text, ce_modelversion="0")


def answer_lost(run: Path) -> None:
    cut(run, "attempts", 1)


FAULTS: list[Callable[[Path], None]] = [
    second_attempt,
    cause_never_existed,
    second_curriculum,
    second_evaluation,
    evaluation_missing,
    second_letter,
    trained_again,
    never_trained,
    weights_changed,
    stale,
    answer_lost,
]


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_wrong_after_it_is_found_by_the_same_words(
    grown: Path, fault: Callable[[Path], None], index: int
) -> None:
    fault(grown)
    whole, resumed = both(grown, index)
    assert not whole.ok
    assert {str(one) for one in resumed.violations} == {str(one) for one in whole.violations}


def test_a_cursor_that_went_back(grown: Path) -> None:
    with log_of(grown) as log:
        log.execute("UPDATE cursor SET base = 0, done = '' WHERE grp = 'proposer'")
    found = since(grown, grown.with_name("snapshot-0"))
    assert any("the cursor of group proposer went back" in str(one) for one in found.violations)


def test_an_open_task_that_died_after_it(lived: Path, tmp_path: Path) -> None:
    """What is open in a snapshot may come to its end by a dead letter too."""

    async def script(life: Life) -> None:
        await life.live(1)
        assert life.head is not None
        await life.bus.publish([task_of(life.head, 90)])
        await asyncio.to_thread(since, life.folder, None, tmp_path / "snapshot-0")
        for delivery in await life.solver.take(100, 0.05):
            await life.solver.complete([delivery], [reject(delivery, "solver")])

    whole, resumed = both(make(tmp_path / "run", script))
    assert whole.ok
    assert resumed.ok
    assert resumed.counts["dead_letters"] == whole.counts["dead_letters"] == 1


def test_an_audit_with_findings_leaves_nothing(grown: Path, tmp_path: Path) -> None:
    second_attempt(grown)
    assert not since(grown, None, tmp_path / "left").ok
    assert not (tmp_path / "left").exists()


def test_a_damaged_snapshot_is_refused(grown: Path) -> None:
    snapshot = grown.with_name("snapshot-0")
    text = snapshot.read_text()
    snapshot.write_text(text.replace("solver", "sulver", 1))
    with pytest.raises(RefusedSnapshot, match="damaged"):
        since(grown, snapshot)
    snapshot.write_text(text[: len(text) // 2])
    with pytest.raises(RefusedSnapshot, match="damaged"):
        since(grown, snapshot)
    with pytest.raises(RefusedSnapshot, match="cannot be read"):
        since(grown, grown.with_name("nowhere"))


def test_a_snapshot_of_another_run_is_refused(grown: Path, tmp_path: Path) -> None:
    (grown / "recipe.json").write_text(json.dumps({"run_id": "another"}))
    with pytest.raises(RefusedSnapshot, match="is of run None, this is run another"):
        since(grown, grown.with_name("snapshot-0"))


def test_a_snapshot_ahead_of_the_log_is_refused(grown: Path, run: Path) -> None:
    cut(grown, "tasks", 20)
    with pytest.raises(RefusedSnapshot, match="ahead of the log"):
        since(grown, grown.with_name("snapshot-1"))


def test_a_log_with_another_record_at_the_edge_is_refused(grown: Path) -> None:
    snapshot = grown.with_name("snapshot-0")
    end = snapshots.read(snapshot).edges["weights/0"].end
    event = event_at(grown, "weights", end - 1)
    text = event.model_copy(update={"step": event.step + 1}).model_dump_json().encode()
    forge_row(grown, "weights", 0, end - 1, text)
    with pytest.raises(RefusedSnapshot, match=f"weights/0/{end - 1} is not the record"):
        since(grown, snapshot)
