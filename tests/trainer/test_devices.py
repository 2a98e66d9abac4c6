"""Learning happens where the model lies: no tensor is made elsewhere, what is written is the same.

On a CPU a default device that can hold no values stands for any other one: a tensor that is made
without saying where lands there, and the first use of it fails."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from agents.engines.local.device import device_of
from tests.trainer.lessons import PARTS, batch, judgment, learner
from trainer.checkpoint.probe import make_probe
from trainer.config import WarmupConfig
from trainer.learner import Learner, warm_up
from trainer.optimizer import Optimizer, trainable
from trainer.rows import Row
from trainer.updates.grpo import GrpoConfig
from trainer.updates.nll import NllConfig
from trainer.updates.update import Update

BATCH = batch([judgment(10 + index, [1.0, 0.0, 1.0], level=1 + index % 3) for index in range(6)])
UPDATES: tuple[Update, ...] = (
    NllConfig(steps=2, fresh_rows=4, replay_rows=4).build(PARTS),
    GrpoConfig(kl=0.1, steps=2).build(PARTS),
)
ON_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU here")


@contextmanager
def nothing_made_elsewhere() -> Iterator[None]:
    """Tensors made without a device hold no values."""
    with torch.device("meta"):
        assert torch.zeros(1).is_meta
        yield


def taught(update: Update, tokens: int | None = None) -> Learner:
    one = learner(update=update)
    one.config = one.config.model_copy(update={"micro_batch_tokens": tokens})
    one.__post_init__()
    return one


def moved(one: Learner, device: str) -> Learner:
    """The same learner where `device` is."""
    one.model.to(device)
    settings = one.optimizer._config
    return replace(one, optimizer=Optimizer(one.model, settings))


@pytest.mark.parametrize("update", UPDATES, ids=["nll", "grpo"])
@pytest.mark.parametrize("tokens", [None, 8])
def test_no_tensor_is_made_where_the_model_is_not(update: Update, tokens: int | None) -> None:
    plain, watched = taught(update, tokens), taught(update, tokens)
    other = {name: value.detach() * 1.1 for name, value in trainable(plain.model).items()}
    reference = other if update.reference else None
    expected = plain.learn(BATCH, 1, reference)
    with nothing_made_elsewhere():
        found = watched.learn(BATCH, 1, reference)
        made = make_probe(watched.model, watched.published())
    assert found == expected
    assert made == make_probe(plain.model, plain.published())
    for name, value in plain.published().items():
        assert torch.equal(value, watched.published()[name])


def test_a_warm_up_makes_no_tensor_elsewhere() -> None:
    model, plain = learner().model, learner().model

    def draw(index: int) -> Row:
        return Row(prompt=(31, 2 + index % 10, 27), completion=(2 + index % 10, 1))

    expected = warm_up(plain, draw, WarmupConfig(steps=2, batch=8), lambda *_: None)
    with nothing_made_elsewhere():
        found = warm_up(model, draw, WarmupConfig(steps=2, batch=8), lambda *_: None)
    assert found == expected


def test_state_is_made_in_the_main_memory_whatever_the_default() -> None:
    one = taught(UPDATES[0])
    one.learn(BATCH, 1)
    expected = one.state()
    with nothing_made_elsewhere():
        found = one.state()
    assert found.keys() == expected.keys()
    for name, value in found.items():
        assert value.device.type == "cpu" and torch.equal(value, expected[name]), name


@pytest.mark.parametrize("name", ["cuda:99", "cuda:7"])
def test_a_gpu_that_is_not_there_is_a_sentence(name: str) -> None:
    if torch.cuda.is_available() and torch.cuda.device_count() > 7:
        pytest.skip("there may be one")
    with pytest.raises(ValueError, match=f"device = {name}: .* on this machine"):
        device_of(name)


def test_auto_is_a_gpu_where_there_is_one() -> None:
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    assert device_of("auto").type == expected
    assert device_of("cpu").type == "cpu"


@ON_GPU
@pytest.mark.parametrize("update", UPDATES, ids=["nll", "grpo"])
def test_a_run_moves_to_a_gpu_and_back(update: Update, tmp_path: Path) -> None:
    home, away = taught(update), moved(taught(update), "cuda")
    other = {name: value.detach().cpu() * 1.1 for name, value in trainable(home.model).items()}
    reference = other if update.reference else None
    for version in (1, 2):
        home.learn(BATCH, version, reference)
        away.learn(BATCH, version, reference)
        assert _devices(away) == {"cuda"}
        save_file({n: each.cpu() for n, each in away.published().items()}, tmp_path / "model")
        save_file(away.state(), tmp_path / "state")
        # Back, and away again from the files.
        back = taught(update)
        back.restore(load_file(tmp_path / "model"), load_file(tmp_path / "state"), away.num_steps)
        assert _devices(back) == {"cpu"}
        away = moved(taught(update), "cuda")
        away.restore(load_file(tmp_path / "model"), load_file(tmp_path / "state"), back.num_steps)
    for name, value in home.published().items():
        assert torch.allclose(value, away.published()[name].cpu(), atol=5e-2), name


@ON_GPU
def test_a_gpu_gives_the_gradient_of_a_cpu() -> None:
    rows = [row for rows in UPDATES[1].steps(BATCH, learner().replay, Random(0)) for row in rows]
    found: list[dict[str, Tensor]] = []
    for device in ("cpu", "cuda"):
        one = taught(UPDATES[1], tokens=20)
        one = moved(one, device)
        one.gradient.add(rows, GrpoConfig().build(PARTS))
        found.append(
            {n: p.grad.cpu() for n, p in trainable(one.model).items() if p.grad is not None}
        )
    for name, value in found[0].items():
        assert torch.allclose(value, found[1][name], rtol=2e-2, atol=1e-4), name


def _devices(one: Learner) -> set[str]:
    """Where weights, averages and moments lie."""
    lie = [*trainable(one.model).values(), *one.ema.values(), *one.optimizer._momenta]
    return {each.device.type for each in lie}
