"""What an operator says to a real run: pause, resume, stop and objective, through its log."""

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from bus.events import Control, Curriculum, Weights
from harness.runs import Agent, Start, audit, read_topic
from tests.evolvent.conftest import Refused, Shown

_PATIENCE_SECONDS = 120.0
UNMEASURED = ("--set", 'run.without=["evaluator"]')
TOGETHER = ("--set", 'run.processes=[["proposer", "solver", "critic", "trainer"]]')
ALONE = ("--set", 'run.processes=[["solver"], ["proposer", "critic", "trainer"]]')


class Operated:
    """One start of a run, and whoever looks at its status."""

    def __init__(self, run: Path, shown: Shown, *arguments: str) -> None:
        self.run = run
        self.start = Start(run, "--budget", "10m", *arguments)
        self._shown = shown

    def say(self, *words: str) -> str:
        command, *rest = words
        return self._shown(command, self.run, *rest)

    @property
    def status(self) -> Any:
        return json.loads(self.say("status", "--json"))

    @property
    def attempts(self) -> int:
        return int(self.status["counts"]["attempts"])

    @property
    def epoch(self) -> int:
        """How often somebody has taken the solver's work over."""
        groups = self.status["groups"]
        return max(int(one["epoch"]) for one in groups if one["group"] == "solver")

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not condition():
            assert self.start.code is None, self.start.last_words()
            assert time.monotonic() < deadline, self.start.last_words()
            time.sleep(0.2)

    def until_version(self, more: int) -> None:
        """Wait until there are so many versions more than now."""

        def versions() -> int:
            return len(list((self.run / "checkpoints").glob("v*")))

        wanted = versions() + more
        self.until(lambda: versions() >= wanted)

    def standstill(self) -> int:
        """The number of attempts, once it has not grown for a second, though tasks wait."""
        before, now = -1, self.attempts
        while now > before:
            time.sleep(1)
            before, now = now, self.attempts
        assert self.status["lag"]["solver"]["tasks"] > 0
        return now

    def code(self) -> int:
        """How it ends by itself."""
        return int(self.start.process.wait(_PATIENCE_SECONDS))


@contextmanager
def operated(run: Path, shown: Shown, *arguments: str) -> Iterator[Operated]:
    started = Operated(run, shown, *arguments)
    try:
        yield started
    finally:
        started.start.end()


@pytest.mark.long
def test_a_pause_holds_over_every_restart_until_resume(
    tiny: Path, tmp_path: Path, shown: Shown
) -> None:
    run = tmp_path / "run"
    with operated(run, shown, "--recipe", str(tiny), *UNMEASURED, *TOGETHER) as evolving:
        evolving.until_version(3)
        assert evolving.say("pause", "solver") == f"{run}: solver takes nothing new from now on\n"
        attempts, epoch = evolving.standstill(), evolving.epoch
        assert evolving.status["control"]["paused"] == ["solver"]
        assert re.search(r"paused +solver ", evolving.say("status"))
        [process] = evolving.start.workers().values()
        process.kill()
        evolving.until(lambda: evolving.epoch == epoch + 1)
        assert evolving.standstill() == attempts
        assert evolving.start.interrupt() == 0
    with operated(run, shown) as evolving:
        evolving.until(lambda: evolving.epoch == epoch + 2)
        assert evolving.standstill() == attempts
        evolving.say("resume", "solver")
        evolving.until_version(2)
        assert evolving.status["control"]["paused"] == []
        assert evolving.say("stop") == f"{run}: all roles end from now on\n"
        assert evolving.code() == 0
    assert "Go on with" in evolving.start.last_words()
    found = audit(run)
    assert found["ok"], found["violations"]


@pytest.mark.long
def test_a_role_is_stopped_an_agent_takes_its_place_and_the_source_asks_by_new_settings(
    tiny: Path, tmp_path: Path, shown: Shown
) -> None:
    run = tmp_path / "run"
    with operated(run, shown, "--recipe", str(tiny), *UNMEASURED, *ALONE) as evolving:
        evolving.until_version(1)
        evolving.say("objective", "advance_at=0.6")
        # Now success is that of the last batch alone, and is seen to be.
        said = evolving.say("objective", "rate=1.0", "full_count=1")
        assert "asks by advance_at = 0.6, rate = 1.0, full_count = 1" in said
        evolving.until_version(3)
        evolving.say("stop", "solver")
        evolving.until(lambda: not any("solver" in roles for roles in evolving.start.workers()))
        attempts = evolving.standstill()
        assert not any("solver" in roles for roles in evolving.start.workers())
        status = evolving.status
        assert status["control"] == {
            "paused": [],
            "stopped": ["solver"],
            "objective": {"advance_at": 0.6, "rate": 1.0, "full_count": 1},
        }
        agent = Agent(run, "solver", "other")
        try:
            evolving.until_version(1)
            evolving.say("stop", "solver")
            assert agent.process.wait(_PATIENCE_SECONDS) == 0, agent.last_words()
        finally:
            agent.terminate()
        assert evolving.attempts > attempts
        evolving.say("stop")
        assert evolving.code() == 0
    found = audit(run)
    assert found["ok"], found["violations"]
    said_at = [one for one in read_topic(run, "control") if isinstance(one, Control)]
    [first, second] = [one for one in said_at if one.command == "objective"]
    curricula = [one for one in read_topic(run, "curricula") if isinstance(one, Curriculum)]
    asked_by = [curriculum.objective for curriculum in curricula]
    assert asked_by == sorted(asked_by, key=[None, first.id, second.id].index)
    assert status["curriculum"]["objective"] == second.id
    _check_asked_by(run, [one for one in curricula if one.objective == second.id])


def _check_asked_by(run: Path, curricula: list[Curriculum]) -> None:
    """Success is that of the last batch, and the frontier moves where it is above 0.6."""
    versions = {one.id: one for one in read_topic(run, "weights") if isinstance(one, Weights)}
    assert len(curricula) >= 2
    for curriculum in curricula:
        for count in versions[curriculum.weights].batch:
            assert curriculum.success[f"reverse/{count.level}"] == count.correct / count.samples
    for before, after in pairwise(curricula):
        moved = range(before.top["reverse"], after.top["reverse"])
        assert all(after.success[f"reverse/{level}"] > 0.6 for level in moved)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["pause", "nobody"], "there is no role nobody in {run}: there are proposer, solver, "),
        (["resume", "nobody"], "there is no role nobody in {run}: there are proposer, solver, "),
        (["stop", "nobody"], "there is no role nobody in {run}: there are proposer, solver, "),
        (["objective", "advance=1"], "no field source.advance; there are type, advance_at, floor"),
        (["objective", "advance_at=2"], "source.advance_at = 2: Input should be less than 1"),
        (["objective", "floor=much"], "source.floor = 'much': Input should be a valid number"),
        (["objective", "type=uniform"], "a run keeps its source: only the settings of it may"),
        (["objective", "floor=0.1", "rate"], "rate: write it as field=value, for example "),
        (["objective", "=3"], "=3: write it as field=value, for example advance_at=0.5"),
    ],
)
def test_what_an_operator_may_mistype_is_one_sentence_and_nothing_is_said(
    copied: Path, refused: Refused, words: list[str], said: str
) -> None:
    before = read_topic(copied, "control")
    command, *rest = words
    assert said.format(run=copied) in refused(command, copied, *rest)
    assert read_topic(copied, "control") == before


@pytest.mark.parametrize("words", [["pause"], ["resume"], ["stop"], ["objective", "floor=1"]])
def test_a_folder_that_is_no_run_is_told_nothing(
    tmp_path: Path, refused: Refused, words: list[str]
) -> None:
    command, *rest = words
    assert f"{tmp_path} is not a run" in refused(command, tmp_path, *rest)
    assert list(tmp_path.iterdir()) == []


def test_what_was_changed_is_changed_on_and_taken_back(copied: Path, shown: Shown) -> None:
    assert "asks by floor = 0.1" in shown("objective", copied, "floor=0.1")
    assert "asks by floor = 0.1, rate = 0.4" in shown("objective", copied, "rate=0.4")
    assert "asks by the recipe alone" in shown("objective", copied, "rate=0.5", "floor=0.02")
    status = json.loads(shown("status", copied, "--json"))
    assert status["control"]["objective"] == {}
