"""Whether learning moves anything: told when it does not, and only then."""

from typing import Any

import pytest

from bus.events import Evaluation
from observability.progress.history import History
from observability.progress.moves import Moves, evaluations_without_progress
from tests.observability.progress.test_held_out import evaluation, levels_of
from tests.observability.story import Story

WEIGHTS = [event for event in Story(versions=30).events() if event.topic == "weights"]


def moves(digests: list[str], **metrics: float) -> Moves:
    """Of one version for each digest of its weights, the first being version 0."""
    found = Moves()
    for digest, event in zip(digests, WEIGHTS, strict=False):
        changes: dict[str, Any] = {"files": {"model.safetensors": digest}, "metrics": metrics}
        found.add(event.model_copy(update=changes))  # type: ignore[arg-type]
    return found


def test_weights_that_move_are_no_word_worth() -> None:
    found = moves(["a"] * 20 + ["b"] * 2, steps=1.0)
    assert not found.is_broken and not found.is_worth_a_word and found.for_nothing == 0


@pytest.mark.parametrize("metrics", [{"steps": 1.0}, {"skipped": 1.0}])
def test_steps_that_move_nothing_are_broken(metrics: dict[str, float]) -> None:
    assert moves(["a", "a"], **metrics).is_broken


def test_right_and_wrong_answers_of_ten_batches_that_move_nothing_are_broken() -> None:
    assert not moves(["a"] * 10, reward=0.5).is_broken
    assert moves(["a"] * 11, reward=0.5).is_broken


def test_a_short_run_without_a_right_answer_is_told_and_not_broken() -> None:
    found = moves(["a"] * 20, reward=0.0)
    assert found.is_worth_a_word and not found.is_broken
    assert not moves(["a"] * 3, reward=0.0).is_worth_a_word


def test_where_nothing_is_to_learn_weights_stay_as_they_are() -> None:
    found = moves(["a"] * 20, reward=0.5)
    assert found.is_broken and found.is_worth_a_word
    found.learns = False
    assert not found.is_broken and not found.is_worth_a_word and found.for_nothing == 0


def test_version_0_alone_is_nothing() -> None:
    assert moves(["a"]).for_nothing == 0 and not moves(["a"], steps=1.0).is_broken


EVALUATIONS = {
    "none": ([], 0),
    "rising": ([0.1, 0.2, 0.3], 0),
    "flat": ([0.1, 0.1, 0.1, 0.1], 3),
    "fallen": ([0.1, 0.3, 0.2, 0.1], 2),
    "at the top": ([0.5, 1.0, 0.9, 0.9], 0),
}


@pytest.mark.parametrize(("means", "number"), EVALUATIONS.values(), ids=EVALUATIONS.keys())
def test_evaluations_since_the_best_one(means: list[float], number: int) -> None:
    found: History[Evaluation] = History()
    for version, mean in enumerate(means):
        said = evaluation({9: 1}, warm_up_end=4, says=True)
        found.say(version, said.model_copy(update={"weights_version": version, "held_out": mean}))
    assert evaluations_without_progress(found, levels_of(*found.values())) == number
