"""What is changed behind right headers is found when bodies are read."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agents.domains.strings import StringsConfig
from agents.judges.exact import Exact
from bus.events import Attempt, Lesson, derive_id
from bus.sqlite.bus import SqliteBus
from observability.audit.audit import Audit, audit
from observability.audit.deep.deep import Deep
from observability.audit.deep.problems import Problems
from observability.audit.deep.verdicts import Verdicts
from observability.audit.findings import Findings
from observability.audit.scan import Show
from tests.observability.audit.audit_faults import (
    codes,
    forge_manifest,
    forge_row,
    log_of,
    rows,
    says,
)

Body = dict[str, Any]


def audited_deeply(run: Path) -> Audit:
    domain = StringsConfig(levels=(1, 2, 3, 4), held_out_from=4).build()
    verdicts = Verdicts(["exact"], {"exact": Exact(domain)}, None)

    def deep(log: SqliteBus, findings: Findings, show: Show) -> Deep:
        return Deep(
            log=log,
            findings=findings,
            show=show,
            problems=Problems(domain, [4], 64),
            verdicts=verdicts,
        )

    bus = SqliteBus(run / "log.sqlite", read_only=True)
    try:
        return audit(bus, run, deep=deep)  # type: ignore[arg-type]
    finally:
        verdicts.close()
        asyncio.run(bus.close())


def change(run: Path, topic: str, how: Callable[[Body], object]) -> None:
    """The body of the newest record of the first partition of a topic."""
    part, off, _ = rows(run, topic)[0]
    with log_of(run) as log:
        value = log.execute(
            "SELECT value FROM log WHERE topic = ? AND part = ? AND off = ?", (topic, part, off)
        ).get
    body = json.loads(value)
    how(body)
    forge_row(run, topic, part, off, json.dumps(body).encode())


def test_a_whole_run_is_whole_in_its_bodies(run: Path) -> None:
    found = audited_deeply(run)
    assert found.violations == []


def prompt(body: Body) -> None:
    body["attempt"]["samples"][0]["turns"][0]["text"] = "ab"


def right(body: Body) -> None:
    body["verdicts"][0]["reward"] = 0.5


CHANGES: list[tuple[str, Callable[[Body], object], str]] = [
    ("judgments", prompt, "the attempt inside of"),
    ("judgments", right, "not those that its judge gives"),
    ("judgments", lambda body: body.update(verdicts=[]), "not one verdict for each sample"),
    ("judgments", lambda body: body.update(created_at="2001-01-01T00:00:00Z"), "header ce_time"),
    ("judgments", lambda body: body.update(run="other"), "header ce_source"),
    ("judgments", lambda body: body["attempt"].update(id="a" * 32), "header ce_causationid"),
    ("attempts", lambda body: body.update(memory=1), "more lessons than there are"),
    ("attempts", lambda body: body["task"].update(answer="ab"), "the task inside of"),
    ("tasks", lambda body: body.update(weights_version=3), "header ce_modelversion"),
    ("curricula", lambda body: body.update(weights_version=3), "another number of version"),
    ("tasks.dead", lambda body: body.update(value="AAAA"), "holds other bytes than the record"),
]


@pytest.mark.parametrize(("topic", "how", "said"), CHANGES, ids=[said for _, _, said in CHANGES])
def test_a_body_that_was_changed(
    run: Path, topic: str, how: Callable[[Body], object], said: str
) -> None:
    change(run, topic, how)
    assert says(audited_deeply(run), "I12", said)


def test_a_lesson_is_of_an_attempt_that_is_there(run: Path) -> None:
    part, off, _ = rows(run, "attempts")[0]

    async def say() -> None:
        bus = SqliteBus(run / "log.sqlite")
        [record] = bus.log.read("attempts", part, off, off + 1)
        attempt = record.event()
        assert isinstance(attempt, Attempt)
        about = {"run": attempt.run, "agent": "solver", "task": attempt.task.id}
        turn = attempt.samples[0].turns[0].model_copy(update={"trainable": False})
        for index, named in enumerate((attempt.id, attempt.task.id)):
            lesson = Lesson(
                id=derive_id(attempt.run, "solver", attempt.task.id, 1 + index),
                attempt=named,
                sample=0,
                about="reverse",
                turn=turn,
                **about,
            )
            await bus.publish([lesson])
        await bus.close()

    asyncio.run(say())
    [violation] = audited_deeply(run).violations
    assert "the lesson lessons/0/1 is of no attempt" in violation.sentence


def test_a_body_that_nobody_can_read(run: Path) -> None:
    part, off, _ = rows(run, "attempts")[-1]
    forge_row(run, "attempts", part, off, b"garbage")
    assert says(audited_deeply(run), "I12", f"attempts/{part}/{off} cannot be read")


def test_a_dead_record_may_be_unreadable(run: Path) -> None:
    with log_of(run) as log:
        [(part, off)] = log.execute(
            "SELECT json_extract(value, '$.origin_partition'), json_extract(value, "
            "'$.origin_offset') FROM log WHERE topic = 'tasks.dead'"
        )
    forge_row(run, "tasks", part, off, b"garbage")
    assert not says(audited_deeply(run), "I12", "cannot be read")


def held_out(body: Body) -> None:
    domain = StringsConfig(levels=(1, 2, 3, 4), held_out_from=4).build()
    problem = domain.held_out("reverse", 4, 1)[0]
    body.update(prompt=problem.prompt, answer=problem.answer, level=4)


def wrong(body: Body) -> None:
    body.update(prompt="r12>", question="reverse 12", answer="12")


@pytest.mark.parametrize(
    ("how", "said"),
    [(held_out, "a held-out problem"), (wrong, "not the one that its domain")],
)
def test_a_task_that_should_not_have_been_set(
    run: Path, how: Callable[[Body], None], said: str
) -> None:
    change(run, "tasks", how)
    assert says(audited_deeply(run), "I12", said)


@pytest.mark.parametrize("name", ["tokens", "samples", "reward", "staleness_mean", "staleness_max"])
def test_a_metric_that_does_not_follow_from_the_batch(run: Path, name: str) -> None:
    forge_manifest(run, 2, lambda manifest: manifest["weights"]["metrics"].update({name: 77.0}))
    found = audited_deeply(run)
    assert codes(found) == {"I12"} and says(found, "I12", f"metric {name} of version 2")


def test_counts_that_do_not_follow_from_the_batch(run: Path) -> None:
    def forge(manifest: Body) -> None:
        for level in manifest["weights"]["batch"]:
            level["correct"] = 0

    forge_manifest(run, 2, forge)
    assert says(audited_deeply(run), "I12", "right answers by level of version 2")
