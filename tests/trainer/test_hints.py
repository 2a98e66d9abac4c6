"""What was drawn with a hint: learned after the prompt without it, and in no success rate."""

from random import Random

import pytest

from bus.events import Judgment, Sample
from tests.trainer.lessons import PARTS, batch, judgment, turn
from tests.trainer.updates.test_right_answers import learned
from trainer.batch import Batch
from trainer.filters.band import BandConfig
from trainer.replay import Replay
from trainer.updates.grpo import GrpoConfig
from trainer.updates.nll import SOLVED, NllConfig

PLAIN, HINTED = (31, 2, 27), (31, 2, 27, 9, 9)


def hinted(rewards: list[float], aided: list[float]) -> Judgment:
    """A task whose plain samples have `rewards`, and behind them samples with a hint."""
    one = judgment(1, [*rewards, *aided])
    samples = list(one.attempt.samples)
    for place in range(len(rewards), len(samples)):
        made = turn([2, 3 + place, 1], prompt=HINTED)
        made = made.model_copy(update={"learned_prompt": PLAIN})
        samples[place] = Sample(turns=(made,))
    attempt = one.attempt.model_copy(update={"samples": tuple(samples)})
    return one.model_copy(update={"attempt": attempt})


def test_a_hinted_answer_is_learned_after_the_plain_prompt() -> None:
    one = hinted([0.0, 0.0], [0.0, 1.0])
    assert learned(one, 8) == [one.attempt.samples[3].turns[0].tokens]
    replay = Replay(8)
    list(NllConfig().build(PARTS).steps(batch([one]), replay, Random(1)))
    rows = [row for name in replay.names(SOLVED) for row in replay._queues[name]]
    assert [row.prompt for row in rows] == [PLAIN]


def test_hinted_answers_count_for_no_success() -> None:
    one = hinted([0.0, 1.0, 0.0, 0.0], [1.0, 1.0])
    assert one.success == 0.25 and len(one.unaided) == 4
    [level] = batch([one]).levels()
    assert (level.tasks, level.samples, level.correct) == (1, 4, 1)
    metrics = batch([one]).rollout_metrics(0)
    assert metrics["reward"] == 0.25 and metrics["samples"] == 6
    assert BandConfig(low=0.2, high=0.3).build(PARTS).choose([one], Random(1)) == [one]


def test_a_task_solved_with_a_hint_alone_was_not_solved() -> None:
    one = hinted([0.0, 0.0], [1.0])
    assert one.success == 0
    assert [count.correct for count in batch([one]).levels()] == [0]
    assert Batch.empty().levels() == ()


def test_no_ratio_is_formed_of_what_had_a_hint() -> None:
    update = GrpoConfig().build(PARTS)
    with pytest.raises(ValueError, match="learned after another prompt"):
        list(update.steps(batch([hinted([0.0, 0.0], [1.0])]), Replay(8), Random(1)))
