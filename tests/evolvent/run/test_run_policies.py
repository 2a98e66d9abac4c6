"""A run whose solver and proposer generate by different policies."""

from pathlib import Path

import pytest

from bus.events import Attempt, Refusal, Task
from harness.runs import read_topic
from tests.evolvent.conftest import evolvent

SETTINGS = (
    "source.type=learned",
    "warmup.proposal_share=0.5",
    "solver.policy=previous",
    "policies.previous.engine.inflight=keep",
)


@pytest.mark.long
def test_the_solver_is_a_version_behind_the_proposer(tiny: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = [word for setting in SETTINGS for word in ("--set", setting)]
    done = evolvent("run", "--recipe", str(tiny), "--dir", str(run), "--budget", "5s", *words)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    audited = evolvent("audit", str(run))
    assert audited.returncode == 0, audited.stdout + audited.stderr
    behind = set()
    for attempt in read_topic(run, "attempts"):
        assert isinstance(attempt, Attempt)
        assert attempt.oldest_version is not None
        behind.add(attempt.task.weights_version - attempt.oldest_version)
    assert max(behind) == 1
    written = 0
    for event in (*read_topic(run, "tasks"), *read_topic(run, "refusals")):
        assert isinstance(event, Task | Refusal)
        if event.proposal is not None:
            written += 1
            spans = event.proposal.turn.spans
            assert min(span.version for span in spans) >= event.weights_version
    assert written > 0
    assert len(list((run / "checkpoints").iterdir())) > 5
