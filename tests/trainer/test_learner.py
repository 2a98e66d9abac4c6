"""The learner: the same batches give the same weights, also over a restart from files."""

import math
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.trainer.lessons import PARTS, batch, judgment, learner
from trainer.batch import Batch
from trainer.config import WarmupConfig
from trainer.forward import Scored
from trainer.learner import Learner, warm_up
from trainer.replay import Replay
from trainer.rows import Row, row_of
from trainer.updates.nll import NllConfig

BATCHES = [
    batch([judgment(10 * number + index, [1.0, 0.0], level=1 + index % 3) for index in range(6)])
    for number in range(3)
]


def weights(of: Learner) -> dict[str, Tensor]:
    raw = {f"raw.{name}": value.detach().clone() for name, value in of.model.named_parameters()}
    return raw | {name: value.clone() for name, value in of.published().items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_learning_goes_on_from_files_bit_by_bit(tmp_path: Path) -> None:
    whole = learner()
    for number, each in enumerate(BATCHES):
        whole.learn(each, number + 1)

    first = learner()
    first.learn(BATCHES[0], 1)
    save_file(first.published(), tmp_path / "model")
    save_file(first.state(), tmp_path / "state")

    second = learner(seed=3)
    with torch.no_grad():
        for value in second.model.parameters():
            value.zero_()
    second.restore(load_file(tmp_path / "model"), load_file(tmp_path / "state"), first.num_steps)
    for number in (1, 2):
        second.learn(BATCHES[number], number + 1)
    assert same(weights(second), weights(whole))
    assert second.num_steps == whole.num_steps == 6


def test_learning_lowers_the_loss_and_moves_the_average_more_slowly() -> None:
    one = learner(update=NllConfig(steps=8, fresh_rows=6, replay_rows=0).build(PARTS))
    start = weights(one)
    first = one.learn(BATCHES[0], 1)
    for version in range(2, 5):
        last = one.learn(BATCHES[0], version)
    assert last["loss"] < first["loss"] - 1
    assert first["steps"] == 8 and first["skipped"] == 0
    name = "model.layers.0.mlp.up_proj.weight"
    moved = weights(one)
    raw_moved = (moved[f"raw.{name}"] - start[f"raw.{name}"]).norm()
    assert 0 < (moved[name] - start[name]).norm() < raw_moved


class Poisoned:
    """An update whose losses are given: what `factor` multiplies."""

    reference = None

    def __init__(self, factors: list[float]) -> None:
        self._factors = factors
        self._left = list(factors)
        self._nll = NllConfig().build(PARTS)

    def steps(self, batch: Batch, replay: Replay, random: Random) -> Iterator[list[Row]]:
        for _ in self._factors:
            yield [row_of(batch.judgments[0].attempt.samples[0].turns[0])]

    def __call__(self, scored: Scored) -> Tensor:
        return self._nll(scored) * self._left.pop(0)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_is_counted_and_changes_nothing(bad: float) -> None:
    poisoned = learner(update=Poisoned([bad]))
    before = weights(poisoned) | poisoned.optimizer.state()
    metrics = poisoned.learn(BATCHES[0], 1)
    assert metrics == {"steps": 0.0, "skipped": 1.0, "chosen": 6.0}
    assert same(weights(poisoned) | poisoned.optimizer.state(), before)
    assert poisoned.num_steps == 0


def test_a_skipped_step_leaves_no_trace_in_the_next() -> None:
    clean, poisoned = learner(update=Poisoned([1.0])), learner(update=Poisoned([math.nan, 1.0]))
    clean.learn(BATCHES[0], 1)
    metrics = poisoned.learn(BATCHES[0], 1)
    assert (metrics["steps"], metrics["skipped"]) == (1, 1)
    assert same(weights(clean), weights(poisoned))


def test_weights_that_are_not_finite_are_never_published() -> None:
    broken = learner()
    name = next(iter(broken.ema))
    broken.ema[name].view(-1)[0] = math.nan
    with pytest.raises(ArithmeticError, match=f"{name} is not finite"):
        broken.published()


def test_warming_up_teaches_and_says_how_far_it_is() -> None:
    model = learner().model
    said: list[tuple[int, int]] = []
    config = WarmupConfig(steps=30, batch=8, rise_steps=5)

    def draw(index: int) -> Row:
        return Row(prompt=(31, 2 + index % 10, 27), completion=(2 + index % 10, 1))

    start = warm_up(model, draw, WarmupConfig(steps=1, batch=8), lambda *_: None)
    end = warm_up(model, draw, config, lambda done, total: said.append((done, total)))
    assert end < start - 0.5
    assert said == [(step, 30) for step in range(1, 31)]


def test_no_warm_up_is_allowed() -> None:
    model = learner().model
    loss = warm_up(model, lambda _: Row(prompt=(), completion=()), WarmupConfig(steps=0), print)
    assert math.isnan(loss)
