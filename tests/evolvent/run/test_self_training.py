"""Runs of the recipes that train themselves on what they answer rightly, with models so small that
a coin says what is right; and what a deep audit finds."""

from pathlib import Path

import pytest

from bus.events import Attempt, Weights
from evolvent.recipe.load import load_recipe
from harness.runs import read_topic
from tests.evolvent.conftest import evolvent

SMALL = (
    "model={hidden=16, intermediate=24, layers=2, heads=2, head_dim=8}",
    "warmup.steps=20",
    "warmup.batch=16",
    "trainer.size=8",
    "loss.steps=4",
    "evaluator.count=4",
    "judge.type=chance",
)


def ran(name: str, folder: Path, *settings: str) -> Path:
    """A run of a few versions, found whole by a deep audit."""
    said = [word for one in (*SMALL, *settings) for word in ("--set", one)]
    run = folder / name
    done = evolvent("run", "--recipe", name, "--dir", str(run), "--budget", "6s", *said)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    audited = evolvent("audit", str(run), "--deep")
    assert audited.returncode == 0, audited.stdout[-2000:]
    return run


def versions(run: Path) -> list[Weights]:
    found = [event for event in read_topic(run, "weights") if isinstance(event, Weights)]
    assert len(found) > 3
    return found


@pytest.mark.long
def test_rft_goes_on_from_the_weights_that_it_has(tmp_path: Path) -> None:
    run = ran("rft", tmp_path, "solver.samples=4")
    assert not [one for one in versions(run) if "from_version" in one.metrics]


@pytest.mark.long
def test_every_round_of_rest_em_starts_from_version_0(tmp_path: Path) -> None:
    run = ran("rest-em", tmp_path, "solver.samples=4")
    _, first, *later = versions(run)
    assert "from_version" not in first.metrics, "it is made from version 0 anyway"
    assert {one.metrics["from_version"] for one in later} == {0.0}


@pytest.mark.long
def test_star_learns_what_a_hint_gave_away_and_never_the_hint(tmp_path: Path) -> None:
    run = ran("star", tmp_path)
    _, *later = versions(run)
    assert [one.metrics["steps"] for one in later[:4]] == [4.0, 5.0, 6.0, 7.0][: len(later)]
    attempts = [event for event in read_topic(run, "attempts") if isinstance(event, Attempt)]
    hinted = [each for each in attempts if len(each.samples) > 1]
    assert hinted, "so small a model is hardly ever right"
    for each in hinted:
        plain, aided = (sample.turns[0] for sample in each.samples)
        assert plain.learned_prompt is None and aided.learned_prompt == plain.prompt_tokens
        assert len(aided.prompt_tokens) > len(plain.prompt_tokens)
    for one in later:
        counted = sum(level.samples for level in one.batch)
        assert counted == sum(level.tasks for level in one.batch), "a hint counts for nothing"


@pytest.mark.parametrize("name", ["rft", "rest-em", "star"])
def test_the_recipes_are_of_their_family(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.family == "self-training" and recipe.paper.startswith("arXiv ")
