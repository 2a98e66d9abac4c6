"""A recipe may leave services out, and an evaluation may have nothing to ask: wherever such a run
is looked at, it looks right, and nothing that was not measured is shown as 0 %.
"""

import asyncio
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from rich.console import Console

from bus.events import Evaluation, Event
from bus.memory.bus import MemoryBus
from observability.progress.progress import Progress
from observability.progress.status import as_json
from observability.report.report import write_report
from observability.terminal.activity import Activity
from observability.terminal.curve import accuracy_curve
from observability.terminal.live import plain_line
from observability.terminal.screen import Screen
from observability.terminal.summary import summary
from tests.observability.story import Story, judgment, mean

STORY = Story(versions=6)


def without(*topics: str) -> list[Event]:
    return [event for event in STORY.events() if event.topic not in topics]


def evaluated(change: Callable[[Evaluation], Evaluation]) -> list[Event]:
    return [change(one) if isinstance(one, Evaluation) else one for one in STORY.events()]


def nothing_asked(evaluation: Evaluation) -> Evaluation:
    return evaluation.model_copy(update={"scores": (), "held_out": 0.0, "seen": 0.0})


def suites_of_nothing(evaluation: Evaluation) -> Evaluation:
    scores = [
        score.model_copy(update={"total": 0, "correct": 0, "low": 0.0, "high": 0.0})
        for score in evaluation.scores
    ]
    return nothing_asked(evaluation).model_copy(update={"scores": tuple(scores), "warmup_end": 4})


def only_seen(evaluation: Evaluation) -> Evaluation:
    """Every level that is asked belongs to the warm-up."""
    seen = mean([score.accuracy for score in evaluation.scores])
    return evaluation.model_copy(update={"held_out": 0.0, "seen": seen, "warmup_end": 10})


LEFT_OUT: dict[str, list[Event]] = {
    "no evaluator": without("evaluations"),
    "no critic": without("judgments", "evaluations"),
    "no curriculum": without("curricula"),
    "no suites": evaluated(nothing_asked),
    "suites of nothing": evaluated(suites_of_nothing),
    "only seen levels": evaluated(only_seen),
    "no families": [
        event.model_copy(update={"top": {}, "success": {}}) if event.topic == "curricula" else event
        for event in STORY.events()
    ],
    "versions alone": without(
        "evaluations", "curricula", "tasks", "attempts", "judgments", "refusals", "control"
    ),
}


def looked_at(events: Sequence[Event], folder: Path) -> dict[str, str]:
    """The run in every view."""
    bus = MemoryBus()
    asyncio.run(bus.publish(events))
    progress = Progress(bus.log)
    progress.refresh()
    views = {"plain": plain_line(progress, Activity(phase="evolving"))}
    for name, renderable in (
        ("summary", summary(progress)),
        ("live", Screen(progress, Activity(phase="evolving"))),
        ("curve", accuracy_curve(progress)),
    ):
        console = Console(width=100, height=40)
        with console.capture() as capture:
            console.print(renderable)
        views[name] = capture.get()
    views["report"] = write_report(bus.log, folder).read_text(encoding="utf-8")
    views["status"] = json.dumps(as_json(progress), allow_nan=False)
    return views


@pytest.mark.parametrize("name", LEFT_OUT)
def test_nothing_that_was_not_measured_is_shown(name: str, tmp_path: Path) -> None:
    views = looked_at(LEFT_OUT[name], tmp_path)
    assert all(views.values())
    status = json.loads(views["status"])
    assert status["version"] == 6
    if name not in ("no curriculum", "no families"):
        assert status["held_out"] is None and status["held_out_interval"] is None
        assert "0.0%" not in views["live"] + views["plain"]
        assert "held-out accuracy" not in views["summary"] + views["curve"]
        assert "0.0 % →" not in views["report"] and "→ 0.0 %" not in views["report"]


@pytest.mark.parametrize("name", ["no evaluator", "no critic", "versions alone"])
def test_a_run_that_nobody_evaluates_says_so(name: str, tmp_path: Path) -> None:
    views = looked_at(LEFT_OUT[name], tmp_path)
    assert "No version was evaluated." in views["summary"]
    assert "no version was evaluated yet" in views["live"]
    assert "No version was evaluated yet: nothing to draw." in views["curve"]
    assert "no version was evaluated yet" in views["report"]
    assert not (tmp_path / "report" / "accuracy.png").exists()
    status = json.loads(views["status"])
    assert (status["evaluated"], status["curve"]) == (None, [])


@pytest.mark.parametrize("name", ["no suites", "suites of nothing"])
def test_an_evaluation_that_asked_nothing_says_so(name: str, tmp_path: Path) -> None:
    views = looked_at(LEFT_OUT[name], tmp_path)
    assert "No held-out level was evaluated." in views["summary"]
    assert "suite" not in views["summary"]
    assert "no suite was evaluated yet" in views["live"]
    assert "No suite was evaluated yet: nothing to draw." in views["curve"]
    assert "No suite was evaluated." in views["report"]
    assert not (tmp_path / "report" / "accuracy.png").exists()
    status = json.loads(views["status"])
    assert (status["evaluated"], status["seen"], status["accuracy_by_level"]) == (6, None, {})


def test_scores_of_the_warm_up_alone_are_shown_as_such(tmp_path: Path) -> None:
    views = looked_at(LEFT_OUT["only seen levels"], tmp_path)
    assert "No held-out level was evaluated." in views["summary"]
    assert "seen 10" in views["summary"] and "seen 10" in views["curve"]
    assert "No held-out level was evaluated yet." in views["curve"]
    assert "–" in views["live"] and "spell_backward" in views["live"]
    assert "spell_backward (warm-up)" in views["report"]
    assert (tmp_path / "report" / "accuracy.png").exists()
    assert json.loads(views["status"])["seen"] > 0.5


@pytest.mark.parametrize("name", ["no curriculum", "no families"])
def test_a_run_without_a_frontier(name: str, tmp_path: Path) -> None:
    views = looked_at(LEFT_OUT[name], tmp_path)
    assert "frontier" not in views["summary"] + views["live"]
    assert "held-out accuracy" in views["summary"]
    assert not (tmp_path / "report" / "curriculum.png").exists()
    assert (json.loads(views["status"])["curriculum"] is None) == (name == "no curriculum")


def test_a_run_without_judgments_says_so(tmp_path: Path) -> None:
    assert "Nothing was judged yet." in looked_at(LEFT_OUT["no critic"], tmp_path)["report"]


def test_answers_of_no_version_that_we_know_are_shown_without_one(tmp_path: Path) -> None:
    judged = judgment(1, 0)
    silent = tuple(
        sample.model_copy(
            update={"turns": tuple(turn.model_copy(update={"spans": ()}) for turn in sample.turns)}
        )
        for sample in judged.attempt.samples
    )
    attempt = judged.attempt.model_copy(update={"samples": silent})
    page = looked_at([judged.model_copy(update={"attempt": attempt})], tmp_path)["report"]
    assert "right</p>" in page and "answered by version" not in page
