"""However many versions a run has, what is remembered of them is bounded."""

import tracemalloc

import pytest

from bus.events import Evaluation, SuiteScore, derive_id
from observability.progress.held_out import HeldOutLevels
from observability.progress.history import MOST, NEWEST, History
from observability.progress.moves import evaluations_without_progress


def filled(number: int, best: int = -1) -> History[float]:
    history: History[float] = History(lambda mean: mean)
    for version in range(number):
        history.say(version, 0.9 if version == best else 0.5)
    return history


def test_a_short_history_is_whole() -> None:
    history = filled(MOST)
    assert history.is_whole
    assert list(history) == list(range(MOST))


@pytest.mark.parametrize("number", [MOST + 1, 5 * MOST, 20 * MOST + 3])
def test_of_a_long_one_the_ends_and_the_best_are_left(number: int) -> None:
    best = MOST // 3
    history = filled(number, best)
    assert not history.is_whole
    assert len(history) <= MOST
    assert list(history) == sorted(history)
    assert {0, best, *range(number - NEWEST, number)} <= set(history)
    assert history.total == number
    assert history.since(best) == number - 1 - best
    assert history.since(0) == number - 1


def test_what_is_said_late_or_again_is_in_its_place() -> None:
    history: History[str] = History()
    for version, said in ((1, "b"), (4, "d"), (0, "a"), (4, "e")):
        history.say(version, said)
    assert list(history.items()) == [(0, "a"), (1, "b"), (4, "e")]
    assert history.total == 3


def test_evaluations_without_progress_are_counted_beyond_what_is_remembered() -> None:
    history: History[Evaluation] = History(lambda one: one.held_out)
    levels = HeldOutLevels()
    for version in range(3 * MOST):
        mean = 0.75 if version == 101 else 0.5
        score = SuiteScore(
            suite="reverse", level=3, correct=int(4 * mean), total=4, low=0.0, high=1.0
        )
        evaluation = Evaluation(
            id=derive_id("run", "evaluator", str(version)),
            run="run",
            agent="evaluator",
            weights=derive_id("run", "weights", str(version)),
            weights_version=version,
            scores=(score,),
            seen=0.0,
            held_out=mean,
            warmup_end=2,
            seconds=1.0,
        )
        levels.add(evaluation)
        history.say(version, evaluation)
    assert evaluations_without_progress(history, levels) == 3 * MOST - 1 - 101


def test_memory_is_bounded() -> None:
    peaks = []
    for number in (4 * MOST, 16 * MOST):
        tracemalloc.start()
        filled(number)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]
