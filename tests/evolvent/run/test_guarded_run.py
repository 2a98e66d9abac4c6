"""A run that a guard ends: in order, with the reason everywhere, once; and recipes without a
verifier, judged by their own majority."""

import json
import re
from pathlib import Path

import pytest

from bus.events import Control, Curriculum, Task
from harness.runs import read_topic
from tests.evolvent.conftest import Shown, evolvent

pytestmark = pytest.mark.slow

GUARDED = """
[[guards]]
type = "floor"
of = "unique"
least = 10.0
window = 8
[source]
type = "unlabeled"
size = 12
[judge]
type = "vote"
threshold = 0.0
"""
REASON = "the share of different answers in a group fell to"


@pytest.fixture(scope="module")
def run(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that has ended long before its budget."""
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "guarded.toml").write_text(tiny.read_text() + GUARDED)
    words = ("--recipe", str(folder / "guarded.toml"), "--dir", str(folder / "run"))
    done = evolvent("run", *words, "--budget", "20m")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    (folder / "run" / "shown.txt").write_text(done.stdout)
    return folder / "run"


def test_a_guard_ends_the_run_and_says_why(run: Path, shown: Shown) -> None:
    [said] = [event for event in read_topic(run, "control") if event.agent == "guard"]
    assert isinstance(said, Control)
    assert (said.command, said.role, said.weights_version) == ("stop", "trainer", 1)
    assert REASON in (run / "shown.txt").read_text().replace("│\n│ ", "")
    status = json.loads(shown("status", run, "--json"))
    assert status["guard"]["guard"] == "floor" and REASON in status["guard"]["reason"]
    assert status["control"]["stopped"] == ["trainer"]
    assert status["evaluated"] == status["version"], "the last version is measured"
    assert status["votes"]["groups"] > 0 and 0 <= status["votes"]["label_accuracy"] <= 1
    assert re.search("^violations +0$", shown("audit", run), re.MULTILINE)


def test_the_set_is_asked_in_epochs(run: Path) -> None:
    states = [one for one in read_topic(run, "curricula") if isinstance(one, Curriculum)]
    prompts: dict[str, list[str]] = {}
    for task in read_topic(run, "tasks"):
        assert isinstance(task, Task) and task.source == "unlabeled"
        prompts.setdefault(task.granted_by, []).append(task.prompt)
    first = prompts[states[0].weights]
    assert len(first) == 16 and len(set(first)) == 12


@pytest.mark.long
def test_whoever_goes_on_has_heard_it(run: Path, shown: Shown) -> None:
    before = json.loads(shown("status", run, "--json"))["version"]
    assert evolvent("run", "--dir", str(run), "--budget", "3s").returncode == 0
    status = json.loads(shown("status", run, "--json"))
    assert status["version"] > before and status["guard"] is None
    assert len([event for event in read_topic(run, "control") if event.agent == "guard"]) == 1
    without = evolvent("run", "--dir", str(run), "--budget", "1s", "--set", "guards=[]")
    assert without.returncode == 0, without.stderr
    assert re.search("^violations +0$", shown("audit", run), re.MULTILINE)
