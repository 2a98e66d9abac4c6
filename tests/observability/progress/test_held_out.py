"""Which scores are held out is what the evaluation says; of old ones it is inferred."""

import pytest

from agents.evaluator import wilson_interval
from bus.events import Evaluation
from observability.progress.held_out import HeldOutLevels, measured
from tests.observability.story import Story, mean, score


def evaluation(
    correct: dict[int, int], warm_up_end: int, says: bool, number: int = 0, total: int = 10
) -> Evaluation:
    """`correct` of `total` at each level."""
    scores = [score("words", level, right, total) for level, right in correct.items() if total]
    return (
        Story()
        .evaluation(number)
        .model_copy(
            update={
                "scores": tuple(scores),
                "seen": mean([s.accuracy for s in scores if s.level <= warm_up_end]),
                "held_out": mean([s.accuracy for s in scores if s.level > warm_up_end]),
                "warmup_end": warm_up_end if says else None,
            }
        )
    )


def levels_of(*evaluations: Evaluation) -> HeldOutLevels:
    levels = HeldOutLevels()
    for one in evaluations:
        levels.add(one)
    return levels


@pytest.mark.parametrize("says", [True, False], ids=["said", "inferred"])
@pytest.mark.parametrize("end", [2, 4, 9])
def test_the_means_tell_what_the_event_does_not_say(end: int, says: bool) -> None:
    """Between the levels, below all of them, above all of them."""
    told = evaluation({3: 9, 4: 8, 5: 2, 9: 1}, warm_up_end=end, says=says)
    levels = levels_of(told)
    assert levels.warm_up_end == end and levels.is_guess == (not says)
    expected = {2: (None, 0.5), 4: (0.85, 0.15), 9: (0.5, None)}[end]
    assert (levels.seen(told), levels.held_out(told)) == pytest.approx(expected)
    num_held_out = {2: 40, 4: 20, 9: 0}[end]
    interval = wilson_interval(told.held_out, num_held_out) if num_held_out else None
    assert levels.interval(told) == interval


def test_a_guess_among_several_gets_better_with_every_evaluation() -> None:
    nothing_yet = evaluation({3: 0, 4: 0, 5: 0}, warm_up_end=4, says=False)
    learned = evaluation({3: 9, 4: 8, 5: 2}, warm_up_end=4, says=False, number=1)
    assert levels_of(nothing_yet).warm_up_end == 2
    assert levels_of(nothing_yet, learned).warm_up_end == 4


def test_what_an_event_says_wins_over_every_guess() -> None:
    """Level 4 is of the warm-up, and nothing in an old evaluation with equal scores tells."""
    old = evaluation({3: 5, 4: 5, 5: 5}, warm_up_end=4, says=False)
    new = evaluation({3: 9, 4: 8, 5: 2}, warm_up_end=4, says=True, number=1)
    assert levels_of(old).interval(old) != levels_of(new, old).interval(old)
    for levels in (levels_of(old, new), levels_of(new, old)):
        assert levels.warm_up_end == 4 and not levels.is_guess
        assert levels.interval(old) == wilson_interval(0.5, 10)


def test_an_evaluation_is_measured_by_its_own_warm_up() -> None:
    """A run may go on with another domain of longer warm-up."""
    before = evaluation({3: 9, 4: 2, 5: 1}, warm_up_end=3, says=True)
    after = evaluation({3: 9, 4: 9, 5: 1}, warm_up_end=4, says=True, number=1)
    levels = levels_of(before, after)
    assert levels.warm_up_end == 4
    assert levels.interval(before) == wilson_interval(before.held_out, 20)
    assert levels.interval(after) == wilson_interval(after.held_out, 10)


def test_means_that_fit_no_split_are_shown_without_an_interval() -> None:
    foreign = evaluation({3: 9, 4: 2}, warm_up_end=3, says=False)
    foreign = foreign.model_copy(update={"held_out": 0.77, "seen": 0.3})
    levels = levels_of(foreign)
    assert levels.warm_up_end is None and not levels.is_guess
    assert (levels.held_out(foreign), levels.interval(foreign)) == (0.77, None)


@pytest.mark.parametrize("says", [True, False])
def test_an_evaluation_without_scores_has_no_means(says: bool) -> None:
    empty = evaluation({}, warm_up_end=4, says=says)
    levels = levels_of(empty)
    assert levels.held_out(empty) is None and levels.seen(empty) is None
    assert levels.interval(empty) is None


def test_a_suite_that_asked_nothing_is_left_out() -> None:
    asked = evaluation({3: 9}, warm_up_end=2, says=True)
    nothing = asked.scores[0].model_copy(update={"suite": "empty", "total": 0, "correct": 0})
    both = asked.model_copy(update={"scores": (nothing, *asked.scores)})
    assert measured(both) == measured(asked) == asked
