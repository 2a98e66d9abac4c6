"""Tries of a task: how many solve it; and an update that moves nothing."""

import torch

from bus.events import TRY, Judgment
from tests.trainer.lessons import PARTS, batch, judgment, learner
from trainer.updates.none import NoneConfig


def tried(*took: tuple[int, float]) -> Judgment:
    """Samples of so many tries each, with their rewards."""
    one = judgment(1, [reward for _, reward in took])
    samples = [
        sample.model_copy(
            update={"turns": (sample.turns[0].model_copy(update={"seat": TRY}),) * number}
        )
        for sample, (number, _) in zip(one.attempt.samples, took, strict=True)
    ]
    attempt = one.attempt.model_copy(update={"samples": tuple(samples)})
    return one.model_copy(update={"attempt": attempt})


def test_what_is_solved_by_each_try_is_counted() -> None:
    metrics = batch([tried((1, 1.0), (2, 1.0)), tried((3, 0.0), (3, 1.0))]).rollout_metrics(0)
    assert [metrics[f"solved_by_try_{number}"] for number in (1, 2, 3)] == [0.25, 0.5, 0.75]
    assert "solved_by_try_4" not in metrics


def test_who_tries_once_has_no_tries() -> None:
    metrics = batch([judgment(1, [1.0, 0.0])]).rollout_metrics(0)
    assert not [name for name in metrics if name.startswith("solved")]


def test_no_update_moves_no_weight_and_says_so() -> None:
    still = learner(update=NoneConfig().build(PARTS))
    before = {name: value.clone() for name, value in still.published().items()}
    metrics = still.learn(batch([judgment(index, [1.0, 0.0]) for index in range(4)]), 1)
    assert metrics["steps"] == 0 and still.num_steps == 0
    assert all(torch.equal(value, before[name]) for name, value in still.published().items())
