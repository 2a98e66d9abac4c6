"""Runs of two policies that are trained in turn, with models so small that nothing is learned well:
to their end, killed on the way, and audited."""

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bus.events import Attempt, Judgment, Task, Weights
from harness.runs import Start, audit, opened, read_topic
from tests.evolvent.conftest import evolvent

SMALL = (
    "model={hidden=16, intermediate=24, layers=2, heads=2, head_dim=8}",
    "phases=[{policy='challenger', versions=2}, {policy='current', versions=3}]",
    "warmup.steps=60",
    "warmup.batch=16",
    "trainer.size=8",
    "evaluator.count=4",
    "evaluator.every=5",
    "domain.families=['deduction']",
)


@pytest.mark.long
def test_r_zero_runs_to_its_end_and_its_audit_finds_nothing(tmp_path: Path) -> None:
    run = tmp_path / "run"
    said = [word for one in SMALL for word in ("--set", one)]
    done = evolvent("run", "--recipe", "r-zero", "--dir", str(run), "--budget", "8s", *said)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "challenger" in done.stdout
    found = evolvent("audit", str(run), "--deep", "--engine")
    assert found.returncode == 0, found.stdout[-2000:]
    _check(run)
    status = json.loads(evolvent("status", str(run), "--json").stdout)
    assert {*status["policies"]} == {"challenger", "current"}
    assert status["evaluated"] == status["version"]


def _check(run: Path) -> None:
    """Every policy spoke with its own weights, and each version moved whom its number says."""
    versions = [event for event in read_topic(run, "weights") if isinstance(event, Weights)]
    assert len(versions) > 6
    moved = {weights.number: weights.policy for weights in versions}
    assert all(policy == _moved_by(number) for number, policy in moved.items() if number)
    assert {weights.metrics["staleness_max"] for weights in versions[1:]} <= {0.0, 1.0, 2.0}
    written = [event for event in read_topic(run, "tasks") if isinstance(event, Task)]
    proposed = [task.proposal.turn for task in written if task.proposal is not None]
    assert proposed, "the challenger has written something that could be asked"
    answers = [
        turn
        for attempt in read_topic(run, "attempts")
        if isinstance(attempt, Attempt)
        for sample in attempt.samples
        for turn in sample.turns
    ]
    for turns, policy in ((proposed, "challenger"), (answers, "current")):
        assert {turn.policy for turn in turns} == {policy}
        assert {moved[span.version] for turn in turns for span in turn.spans} <= {policy, moved[0]}
    judged = [event for event in read_topic(run, "judgments") if isinstance(event, Judgment)]
    assert {judgment.critic for judgment in judged} == {"vote"}


@pytest.mark.long
def test_a_trainer_that_dies_in_either_phase_loses_nothing_of_either_chain(tmp_path: Path) -> None:
    """Before its checkpoint exists and after, while the challenger learns and while the solver
    does."""
    run, faults = tmp_path / "run", tmp_path / "faults"
    faults.mkdir()
    words = [word for setting in SMALL for word in ("--set", setting)]
    start = Start(
        run,
        *("--budget", "1h", "--recipe", "r-zero", *words),
        environment={"EVOLVENT_FAULTS": str(faults)},
    )
    try:
        asyncio.run(_killed_in_both(start, faults))
        assert start.interrupt() == 0, start.last_words()
    finally:
        start.end()
    counts = audit(run)["counts"]
    for damage in ("lost", "duplicated", "trained_twice", "violations"):
        assert counts[damage] == 0, counts
    assert counts["epochs"] == 5
    _check(run)


async def _killed_in_both(start: Start, faults: Path) -> None:
    bus = await opened(start.folder, start)

    def published() -> int:
        return bus.log.heads()["weights", 0]

    async def kill(policy: str, point: str) -> None:
        await _until(lambda: _moved_by(published()) == policy, start)
        armed = faults / point
        armed.touch()
        await _until(lambda: not armed.exists(), start)

    try:
        await _until(lambda: published() > 1, start)
        for policy in ("challenger", "current"):
            for point in ("trainer.staged", "trainer.renamed"):
                await kill(policy, point)
        last = published()
        await _until(lambda: published() > last + 5, start)
    finally:
        await bus.close()


def _moved_by(number: int) -> str:
    return "challenger" if (number - 1) % 5 < 2 else "current"


async def _until(condition: Callable[[], bool], start: Start) -> None:
    deadline = time.monotonic() + 240
    while not condition():
        assert start.code is None and time.monotonic() < deadline, start.last_words()
        await asyncio.sleep(0.005)
