"""Learning that starts from version 0 again: bit by bit, over a crash, and from what is collected
since alone."""

import asyncio
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from bus.memory.bus import MemoryBus
from tests.trainer.classroom import SIZE, Classroom, Crash, check_exactly_once, crash_at
from tests.trainer.lessons import PARTS, TINY, batch, judgment, learner
from trainer.batch import Batch
from trainer.config import LearnerConfig, OptimizerConfig
from trainer.filters.everything import AllConfig
from trainer.learner import Learner
from trainer.optimizer import Optimizer
from trainer.replay import WARMUP
from trainer.rows import Row
from trainer.seed_model import make_model
from trainer.updates.nll import SOLVED, WARMUP_SOLVED, NllConfig

FIRST = batch([judgment(index) for index in range(4)])
SECOND = batch([judgment(index) for index in range(10, 14)])


def starting_again(every: int = 1, steps: int = 3, growth: float = 1.0) -> Learner:
    torch.set_num_threads(1)
    model = make_model(TINY, 3)
    return Learner(
        model=model,
        optimizer=Optimizer(model, OptimizerConfig()),
        filter=AllConfig().build(PARTS),
        update=NllConfig(steps=steps, fresh_rows=4, replay_rows=4, growth=growth).build(PARTS),
        config=LearnerConfig(ema_decay=0.5, replay_capacity=8, restart_every=every),
        seed=3,
    )


def kept(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in tensors.items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_a_restart_without_a_step_is_version_0_bit_by_bit() -> None:
    one = starting_again()
    base, state = kept(one.published()), kept(one.state())
    one.learn(FIRST, 1)
    assert not same(one.published(), base)
    metrics = one.learn(Batch.empty(), 2, base=base)
    assert metrics["steps"] == 0 and metrics["from_version"] == 0
    assert same(one.published(), base)
    assert same(one.state(), state), "raw weights, optimiser or memory remember something"


def test_a_restarted_learner_learns_what_a_fresh_one_would() -> None:
    one, fresh = starting_again(), starting_again()
    base = kept(one.published())
    one.learn(FIRST, 1)
    one.learn(SECOND, 2, base=base)
    fresh.learn(SECOND, 2)
    assert same(one.published(), fresh.published())
    assert same(one.state(), fresh.state())
    assert one.num_steps == 6, "steps are never taken back"


def test_a_restart_forgets_all_rows_but_those_of_the_warm_up() -> None:
    one = starting_again()
    base = kept(one.published())
    one.replay.add(WARMUP_SOLVED, Row(prompt=(31, 2, 27), completion=(2, 1)))
    one.learn(FIRST, 1)
    assert one.replay.names(SOLVED)
    one.learn(Batch.empty(), 2, base=base)
    assert one.replay.names("") == one.replay.names(WARMUP) == [WARMUP_SOLVED]


@pytest.mark.parametrize(
    ("every", "versions"), [(0, []), (1, [2, 3, 4, 5, 6, 7]), (2, [3, 5, 7]), (3, [4, 7])]
)
def test_every_so_many_versions_learning_starts_again(every: int, versions: list[int]) -> None:
    one = starting_again(every)
    assert [version for version in range(1, 8) if one.restarts(version)] == versions


def test_steps_grow_with_every_restart_and_not_in_between() -> None:
    one = starting_again(every=2, steps=5, growth=1.2)
    base = kept(one.published())
    found = [
        one.learn(FIRST, version, base=base if one.restarts(version) else None)["steps"]
        for version in range(1, 8)
    ]
    assert found == [5, 5, 6, 6, 7, 7, 9]


def test_steps_of_star_and_where_they_end() -> None:
    star = NllConfig(steps=40, growth=1.2, max_steps=100)
    steps = [star.num_steps(restarts) for restarts in range(8)]
    assert steps == [40, 48, 58, 69, 83, 100, 100, 100]
    assert star.num_steps(10**9) == 100
    assert [NllConfig(steps=2000, growth=1.2).num_steps(each) for each in (0, 1)] == [2000, 2000]
    assert NllConfig(steps=2000).num_steps(10**9) == 2000


class Again(Classroom):
    """Every version starts from version 0."""

    update = NllConfig(steps=2, fresh_rows=4, replay_rows=4)

    def _learner(self, model: torch.nn.Module) -> Learner:
        made = super()._learner(model)
        made.config = LearnerConfig(replay_capacity=8, restart_every=1)
        return made


def published(room: Classroom) -> list[dict[str, Tensor]]:
    return [
        load_file(room.folder / each.location / "model.safetensors") for each in room.versions()
    ]


@pytest.mark.parametrize("point", ["trainer.before_stage", "trainer.staged", "trainer.renamed"])
def test_a_crash_changes_nothing_of_what_follows_from_version_0(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    async def scenario(room: Classroom, crashes: bool) -> None:
        judged = await room.judge(0, 3 * SIZE)
        if crashes:
            with monkeypatch.context() as patched:
                crash_at(patched, point, 2)
                with pytest.raises(Crash):
                    await room.teach(versions=4)
        await room.teach(versions=4)
        check_exactly_once(room, judged)

    found = []
    for name, crashes in (("whole", False), ("crashed", True)):
        room = Again(MemoryBus(), tmp_path / name)
        asyncio.run(scenario(room, crashes))
        found.append(published(room))
    whole, crashed = found
    assert all(same(one, other) for one, other in zip(whole, crashed, strict=True))
    again = learner()
    assert not same(whole[3], kept(again.published()))


def test_a_version_follows_from_version_0_and_its_own_batch_alone(tmp_path: Path) -> None:
    room = Again(MemoryBus(), tmp_path)

    async def scenario() -> list[Batch]:
        judged = await room.judge(0, 2 * SIZE)
        await room.teach(versions=3)
        by_id = {each.id: each for each in judged}
        ids = [[one.id for one in manifest.trained] for manifest in room.manifests()]
        return [batch([by_id[one] for one in each]) for each in ids]

    batches = asyncio.run(scenario())
    one = room._learner(make_model(TINY, seed=3))
    one.learn(batches[2], 2)
    assert same(published(room)[2], kept(one.published()))
