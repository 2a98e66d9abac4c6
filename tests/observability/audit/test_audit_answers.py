"""What proposer and evaluator owe, whose run a record is of, where it lies and when it was said."""

import asyncio
import json
import shutil
from pathlib import Path

import pytest

from bus.events import Evaluation, Promotion, Weights, derive_id
from tests.observability.audit.audit_faults import (
    audited,
    codes,
    cut,
    folder_of,
    forge_row,
    log_of,
    rows,
    says,
)
from tests.observability.audit.audited_run import RUN, VERSIONS, Life, make, take_all
from trainer.checkpoint.manifest import THINNED


def evaluation_of(weights: Weights, name: str = "") -> Evaluation:
    return Evaluation(
        id=derive_id(RUN, "evaluator" + name, weights.id),
        run=RUN,
        agent="evaluator",
        weights=weights.id,
        weights_version=weights.number,
        scores=(),
        held_out=0.0,
        seen=0.0,
        seconds=1.0,
    )


def evaluated(folder: Path, *names: str) -> Path:
    """A run whose evaluator has answered its first version once for each name."""

    async def script(life: Life) -> None:
        assert life.head is not None
        evaluator = life.bus.subscribe(["weights"], "evaluator", "evaluator-1")
        deliveries = await take_all(evaluator)
        await evaluator.complete(deliveries, [evaluation_of(life.head, name) for name in names])
        await evaluator.close()

    return make(folder, script)


def test_the_evaluator_answers_once_what_is_measured(tmp_path: Path) -> None:
    assert audited(evaluated(tmp_path / "one", "")).ok
    found = audited(evaluated(tmp_path / "none"))
    assert codes(found) == {"I1"} and says(found, "I1", "weights/0/0", "group evaluator")
    found = audited(evaluated(tmp_path / "two", "", "again"))
    assert codes(found) == {"I2"} and says(found, "I2", "second answer of evaluator")
    assert found.counts["duplicated"] == 1


def test_a_version_without_the_proposers_answer(run: Path) -> None:
    cut(run, "curricula", 1)
    found = audited(run)
    assert codes(found) == {"I1"} and found.counts["lost"] == 1
    assert says(found, "I1", f"weights/0/{VERSIONS - 1}", "group proposer")


def test_a_task_less_than_the_proposer_says(run: Path) -> None:
    with log_of(run) as log:
        for topic in ("tasks", "attempts", "judgments"):
            log.execute("UPDATE cursor SET base = min(base, 1) WHERE topic = ?", (topic,))
    cut(run, "tasks", 1)
    assert says(audited(run), "I1", "granted 6 tasks", "are on the log")


@pytest.mark.parametrize("again", [True, False])
def test_a_gate_says_the_same_once(tmp_path: Path, again: bool) -> None:
    async def script(life: Life) -> None:
        assert life.head is not None
        decisions = ("promoted", "promoted" if again else "rolled_back")
        await life.bus.publish(
            [
                Promotion(
                    id=derive_id(RUN, "gate", life.head.id, index),
                    run=RUN,
                    agent="gate",
                    weights=life.head.id,
                    weights_version=0,
                    decision=decision,
                )
                for index, decision in enumerate(decisions)
            ]
        )

    found = audited(make(tmp_path / "run", script))
    assert codes(found) == ({"I2"} if again else set())


def header(run: Path, topic: str, **headers: str) -> None:
    part, off, _ = rows(run, topic)[-1]
    with log_of(run) as log:
        place = (topic, part, off)
        value = log.execute(
            "SELECT value FROM log WHERE topic = ? AND part = ? AND off = ?", place
        ).get
    forge_row(run, topic, part, off, value, **headers)


def test_a_record_of_another_run(run: Path) -> None:
    header(run, "judgments", ce_source="/other/critic")
    found = audited(run)
    assert codes(found) == {"I3"} and says(found, "I3", "bears the name of another run")


def test_many_records_of_another_run_are_one_violation(run: Path) -> None:
    for topic in ("tasks", "attempts", "judgments", "curricula"):
        header(run, topic, ce_source="/other/somebody")
    found = audited(run)
    assert len([one for one in found.violations if "other runs" in one.sentence]) == 1
    assert says(found, "I3", "4 records bear the names of other runs", "curricula/0/", "…")


def test_a_record_in_the_partition_of_another_key(run: Path) -> None:
    header(run, "judgments", ce_subject="0" * 32)
    assert says(audited(run), "I5", "another partition than that of its key")


@pytest.mark.parametrize(
    ("dated", "found"), [("2001-01-01T00:00:00+00:00", {"I10"}), ("2101-01-01T00:00:00Z", set())]
)
def test_what_is_dated_before_its_cause(run: Path, dated: str, found: set[str]) -> None:
    header(run, "judgments", ce_time=dated)
    assert codes(audited(run)) == found


def test_what_is_committed_before_its_cause(run: Path) -> None:
    part, off, _ = rows(run, "judgments")[-1]
    with log_of(run) as log:
        [early] = (
            log.execute(
                "SELECT seq FROM log WHERE topic = 'tasks' AND part = ? AND off = 2", (part,)
            ).get,
        )
        late = log.execute(
            "SELECT seq FROM log WHERE topic = 'judgments' AND part = ? AND off = ?", (part, off)
        ).get
        for old, new in ((early, -1), (late, early), (-1, late)):
            log.execute("UPDATE log SET seq = ? WHERE seq = ?", (new, old))
    assert says(audited(run), "I10", "committed before what")


def test_deleted_checkpoints_are_one_violation(run: Path) -> None:
    for number in (0, 1, 2, 4):
        shutil.rmtree(folder_of(run, number))
    found = audited(run)
    assert len(found.violations) == 1
    assert says(found, "I3", "4 versions are gone", "versions 0 to 2, 4")
    assert found.counts["lost"] == 0


def test_files_that_several_versions_lack_are_one_violation(run: Path) -> None:
    for number in (1, 2):
        (folder_of(run, number) / "model.safetensors").unlink()
    found = audited(run)
    assert len(found.violations) == 1
    assert says(found, "I3", "model.safetensors of 2 versions, 1 to 2, is missing")


@pytest.mark.parametrize(("newest", "faults"), [(90, 0), (VERSIONS, 1)])
def test_what_is_thinned_out_by_rule_and_against_it(run: Path, newest: int, faults: int) -> None:
    folder = folder_of(run, 1)
    files = ["model.safetensors", "config.json"]
    for name in files:
        (folder / name).unlink()
    rule = {"keep_newest": 32, "keep_every": 100, "keep_evaluated": 32, "newest": newest}
    (folder / THINNED).write_text(json.dumps({"rule": rule, "files": files}))
    found = audited(run)
    assert len(found.violations) == faults and found.counts["thinned"] == 1
    assert not faults or says(found, "I3", "version 1 is thinned out against the rule")


def test_an_own_rule_is_none_of_the_runs(run: Path) -> None:
    folder = folder_of(run, 1)
    (folder / "model.safetensors").unlink()
    rule = {"keep_newest": 2, "keep_every": 0, "keep_evaluated": 0, "newest": VERSIONS}
    note = {"rule": rule, "files": ["model.safetensors"]}
    (folder / THINNED).write_text(json.dumps(note))
    assert says(audited(run), "I3", "by a rule that no recipe of the run has")


def test_a_later_start_raises_no_bound(tmp_path: Path) -> None:
    async def script(life: Life) -> None:
        await life.live(3)
        await life.round(version=0)
        [*_, start] = life.bus.read("control")
        event = start.event().model_copy(
            update={"id": "ab" * 16, "settings": {"trainer": {"max_staleness": 50}}}
        )
        await life.bus.publish([event])
        await life.learn(await take_all(life.trainer))

    found = audited(make(tmp_path / "run", script))
    assert codes(found) == {"I11"} and says(found, "I11", "2 are allowed")


def test_it_can_be_read_while_nothing_runs(run: Path) -> None:
    """Twice the same, and nothing is written."""
    assert asyncio.run(asyncio.to_thread(audited, run)).counts == audited(run).counts
