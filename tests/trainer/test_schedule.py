"""Learning rates that rise and fall as torch and transformers have it, and go on over a crash."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, LRScheduler
from transformers.optimization import (
    get_constant_schedule_with_warmup,
    get_cosine_with_min_lr_schedule_with_warmup,
    get_linear_schedule_with_warmup,
    get_wsd_schedule,
)

from bus.memory.bus import MemoryBus
from tests.trainer.classroom import SIZE, Classroom, Crash, crash_at
from tests.trainer.lessons import PARTS, TINY, batch, judgment
from trainer.config import LearnerConfig, OptimizerConfig, ScheduleConfig
from trainer.filters.everything import AllConfig
from trainer.learner import Learner
from trainer.optimizer import Optimizer
from trainer.seed_model import make_model
from trainer.updates.nll import NllConfig

RISE, LENGTH, END = 5, 25, 0.2
FIRST = batch([judgment(index) for index in range(4)])


def rates(make: Callable[[torch.optim.Optimizer], LRScheduler], count: int) -> list[float]:
    """Of so many steps, at a learning rate of 1."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler, found = make(optimizer), []
    for _ in range(count):
        found.append(float(scheduler.get_last_lr()[0]))
        optimizer.step()
        scheduler.step()
    return found


def ours(count: int, **fields: object) -> list[float]:
    schedule = ScheduleConfig.model_validate({"length": LENGTH, **fields})
    return [schedule.scale(number) for number in range(count)]


def test_rates_rise_as_torch_has_it() -> None:
    torchs = rates(lambda o: LinearLR(o, 1 / RISE, 1.0, total_iters=RISE - 1), 2 * RISE)
    assert ours(2 * RISE, rise=RISE) == pytest.approx(torchs)
    # Its first step there has no rate at all.
    theirs = rates(lambda o: get_constant_schedule_with_warmup(o, RISE), 2 * RISE + 1)
    assert ours(2 * RISE, rise=RISE) == pytest.approx(theirs[1:])


def test_rates_fall_as_torch_has_it_and_stay() -> None:
    line = rates(lambda o: LinearLR(o, 1.0, END, total_iters=LENGTH), LENGTH + 5)
    assert ours(LENGTH + 5, shape="linear", end=END) == pytest.approx(line)
    cosine = rates(lambda o: CosineAnnealingLR(o, LENGTH, eta_min=END), LENGTH + 1)
    assert ours(LENGTH + 1, shape="cosine", end=END) == pytest.approx(cosine)
    assert ours(LENGTH + 5, shape="cosine", end=END)[LENGTH:] == [END] * 5


def test_once_risen_they_fall_as_transformers_has_it() -> None:
    line = rates(lambda o: get_linear_schedule_with_warmup(o, RISE, LENGTH), LENGTH)
    found = ours(LENGTH, shape="linear", rise=RISE, end=0)
    assert found[RISE:] == pytest.approx(line[RISE:])
    cosine = rates(
        lambda o: get_cosine_with_min_lr_schedule_with_warmup(o, RISE, LENGTH, min_lr_rate=END),
        LENGTH,
    )
    found = ours(LENGTH, shape="cosine", rise=RISE, end=END)
    assert found[RISE:] == pytest.approx(cosine[RISE:])


@pytest.mark.parametrize("shape", ["linear", "cosine"])
def test_held_they_fall_as_transformers_has_it(shape: str) -> None:
    hold, fall = 8, LENGTH - RISE - 8
    theirs = rates(
        lambda o: get_wsd_schedule(
            o, RISE, fall, num_stable_steps=hold, decay_type=shape, min_lr_ratio=END
        ),
        LENGTH,
    )
    found = ours(LENGTH, shape=shape, rise=RISE, hold=hold, end=END)
    assert found[RISE:] == pytest.approx(theirs[RISE:])
    assert set(found[RISE : RISE + hold]) == {1.0}


def test_nothing_said_is_a_rate_that_stays() -> None:
    assert set(ours(2 * LENGTH)) == {1.0}


def test_what_has_fallen_before_it_rose_is_refused() -> None:
    with pytest.raises(ValidationError, match="length = 5 is where rates have fallen"):
        ScheduleConfig(shape="linear", rise=5, length=5)


class Noted(Optimizer):
    """The real one; `scales` gets what it was asked to step at."""

    def __init__(self, model: nn.Module, scales: list[float]) -> None:
        super().__init__(model, OptimizerConfig())
        self._scales = scales

    def step(self, scale: float = 1.0) -> float:
        self._scales.append(scale)
        return super().step(scale)


def scheduled(schedule: ScheduleConfig, scales: list[float], every: int = 0) -> Learner:
    torch.set_num_threads(1)
    model = make_model(TINY, 3)
    return Learner(
        model=model,
        optimizer=Noted(model, scales),
        filter=AllConfig().build(PARTS),
        update=NllConfig(steps=2, fresh_rows=4, replay_rows=4).build(PARTS),
        config=LearnerConfig(replay_capacity=8, restart_every=every),
        schedule=schedule,
        seed=3,
    )


@pytest.mark.parametrize(
    ("by", "every", "numbers"),
    [
        ("steps", 0, [0, 1, 2, 3, 4, 5, 6, 7]),
        ("versions", 0, [0, 0, 1, 1, 2, 2, 3, 3]),
        ("steps", 2, [0, 1, 2, 3, 0, 1, 2, 3]),
        ("versions", 2, [0, 0, 1, 1, 0, 0, 1, 1]),
    ],
)
def test_what_is_counted_begins_again_with_learning(
    by: str, every: int, numbers: list[int]
) -> None:
    schedule = ScheduleConfig.model_validate({"by": by, "shape": "linear", "length": 9})
    scales: list[float] = []
    one = scheduled(schedule, scales, every)
    base = {name: value.clone() for name, value in one.published().items()}
    for version in range(1, 5):
        metrics = one.learn(FIRST, version, base=base if one.restarts(version) else None)
        assert metrics["rates_scaled_by"] == pytest.approx(sum(scales[-2:]) / 2)
        # Whoever goes on in another process counts on.
        other = scheduled(schedule, scales, every)
        other.restore(one.published(), one.state(), one.num_steps)
        one = other
    assert scales == pytest.approx([schedule.scale(number) for number in numbers])


class Falling(Classroom):
    """Learns at rates that fall with every step."""

    update = NllConfig(steps=2, fresh_rows=4, replay_rows=4)

    def _learner(self, model: nn.Module) -> Learner:
        made = super()._learner(model)
        made.schedule = ScheduleConfig(shape="cosine", rise=2, length=6)
        return made


def published(room: Classroom) -> list[dict[str, Tensor]]:
    return [load_file(room.folder / one.location / "model.safetensors") for one in room.versions()]


def test_a_crash_changes_nothing_of_the_rates_that_follow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(room: Classroom, crashes: bool) -> None:
        await room.judge(0, 3 * SIZE)
        if crashes:
            with monkeypatch.context() as patched:
                crash_at(patched, "trainer.staged", 2)
                with pytest.raises(Crash):
                    await room.teach(versions=4)
        await room.teach(versions=4)

    whole, crashed = Falling(MemoryBus(), tmp_path / "a"), Falling(MemoryBus(), tmp_path / "b")
    asyncio.run(scenario(whole, crashes=False))
    asyncio.run(scenario(crashed, crashes=True))
    for one, other in zip(published(whole), published(crashed), strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)
