"""A real trainer over a tiny model, on any bus, in any folder: to be crashed and started again."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM

from bus.bus import Bus
from bus.control import Switch
from bus.events import Judgment, Weights
from bus.log import Log
from tests.trainer.lessons import PARTS, RUN, TINY, judgment
from trainer.batch import GROUP, Batch, BatchConfig
from trainer.checkpoint.checkpoint import Checkpoints
from trainer.checkpoint.manifest import Manifest, read_manifest
from trainer.checkpoint.recovery import highest_epoch
from trainer.config import CheckpointsConfig, LearnerConfig, OptimizerConfig
from trainer.filters.everything import AllConfig
from trainer.forward import Scored
from trainer.learner import Learner
from trainer.needs import Needs
from trainer.optimizer import Optimizer
from trainer.phases import Phases
from trainer.replay import Replay
from trainer.rows import Row
from trainer.seed_model import make_model, make_tokenizer, save_model
from trainer.trainer import TOPICS, Lineage, Seeded, Trainer
from trainer.updates.config import UpdateConfig
from trainer.updates.nll import NllConfig
from trainer.updates.update import Reference, Update

SIZE = 4
_BUILDING = threading.Lock()
"""transformers lets nobody build another model meanwhile: it would lack what ties its tensors. A
process has one thread that builds; two rooms of one test have two."""


class Crash(Exception):
    """The process is gone at this very place."""


class Watched:
    """The real update; `lessons` gets the ids of every batch that is learned from."""

    def __init__(self, update: Update, lessons: list[tuple[str, ...]]) -> None:
        self._update = update
        self._lessons = lessons

    @property
    def reference(self) -> Reference | None:
        return self._update.reference

    def steps(self, batch: Batch, replay: Replay, random: Random) -> Iterator[list[Row]]:
        self._lessons.append(tuple(sorted(judged.id for judged in batch.judgments)))
        return self._update.steps(batch, replay, random)

    def __call__(self, scored: Scored) -> Tensor:
        return self._update(scored)


def _loaded(folder: Path) -> torch.nn.Module:
    with _BUILDING:
        model: torch.nn.Module = AutoModelForCausalLM.from_pretrained(folder)
    return model


async def until(condition: Callable[[], bool], timeout_seconds: float = 60.0) -> None:
    async with asyncio.timeout(timeout_seconds):
        while not condition():  # noqa: ASYNC110 - what a reader of the log sees has no event
            await asyncio.sleep(0.002)


class Classroom:
    """One run: its log and folder outlive the trainers that work on it. `seen` is the log as the
    test reads it, on its event loop."""

    update: UpdateConfig = NllConfig(steps=1, fresh_rows=4, replay_rows=2)
    phases = Phases()

    def __init__(
        self,
        bus: Bus,
        folder: Path,
        run: str = RUN,
        seen: Log | None = None,
        keep: CheckpointsConfig = CheckpointsConfig(),  # noqa: B008 - it is frozen
    ) -> None:
        self.bus = bus
        self.seen = seen or bus.log
        self.folder = folder
        self.run_id = run
        self.lessons: list[tuple[str, ...]] = []
        self.seeds = 0
        self._checkpoints = Checkpoints(folder, keep, keep_states=2)

    async def teach(self, versions: int, timeout_seconds: float = 60.0) -> None:
        """A new trainer, until so many versions are on the log."""
        stop = asyncio.Event()
        training = asyncio.ensure_future(self.train(stop))
        async with asyncio.timeout(timeout_seconds):
            await until(lambda: self.version_count >= versions or training.done())
            stop.set()
            await training

    @property
    def version_count(self) -> int:
        return self.seen.heads()["weights", 0]

    async def train(
        self,
        stop: asyncio.Event,
        batch: BatchConfig | None = None,
        switch: Switch | None = None,
    ) -> None:
        """One life of a trainer."""
        with ThreadPoolExecutor(1) as executor:
            trainer = Trainer(
                bus=self.bus,
                subscription=self.bus.subscribe(
                    list(TOPICS),
                    GROUP,
                    GROUP,
                    exclusive=True,
                    above=highest_epoch(self.folder),
                ),
                lineage=Lineage(
                    run=self.run_id,
                    recipe_digest="0" * 64,
                    seed=3,
                    checkpoints=self._checkpoints,
                    needs=Needs(self.bus.log, policies=self.phases.policies),
                    phases=self.phases,
                ),
                batch=batch or BatchConfig(size=SIZE, max_staleness=100, timeout_seconds=60),
                make_seed=self._make_seed,
                make_learner=lambda path, policy: self._learner(_loaded(path)),
                executor=executor,
                switch=switch,
            )
            await trainer.run(stop)

    def _make_seed(self) -> Seeded:
        self.seeds += 1
        with _BUILDING:
            model = make_model(TINY, seed=3)
        aside = self.folder / "checkpoints" / ".seed"
        save_model(model, make_tokenizer(), aside)
        return Seeded(learner=self._learner(model), folder=aside, metrics={})

    def _learner(self, model: torch.nn.Module) -> Learner:
        return Learner(
            model=model,
            optimizer=Optimizer(model, OptimizerConfig()),
            filter=AllConfig().build(PARTS),
            update=Watched(self.update.build(PARTS), self.lessons),
            config=LearnerConfig(replay_capacity=8),
            seed=3,
        )

    async def judge(self, first: int, count: int) -> list[Judgment]:
        """Judgments number `first` and following, on the log."""
        made = [judgment(index) for index in range(first, first + count)]
        await self.bus.publish(made)
        return made

    def versions(self) -> list[Weights]:
        return [
            event
            for event in map(lambda r: r.event(), self.seen.read("weights"))
            if isinstance(event, Weights)
        ]

    def manifests(self) -> list[Manifest]:
        return [read_manifest(self.folder / weights.location) for weights in self.versions()]

    def backlog(self) -> int:
        return sum(lag.backlog for lag in self.seen.lag(GROUP))


def check_exactly_once(room: Classroom, judged: list[Judgment]) -> None:
    """Every judgment in exactly one published version, every record in one; an unbroken chain."""
    manifests = room.manifests()
    trained = [consumed.id for manifest in manifests for consumed in manifest.trained]
    assert sorted(trained) == sorted(judgment.id for judgment in judged)
    places = [consumed.position for manifest in manifests for consumed in manifest.consumed]
    assert len(set(places)) == len(places)
    assert room.backlog() == 0
    parent: Weights | None = None
    for number, (weights, manifest) in enumerate(zip(room.versions(), manifests, strict=True)):
        assert manifest.weights == weights
        assert weights.number == number
        assert weights.parent_id == (parent.id if parent else None)
        assert weights.consumed == (parent.consumed if parent else 0) + len(manifest.trained)
        parent = weights


def _patch(monkeypatch: pytest.MonkeyPatch, fault_point: Callable[[str], None]) -> None:
    for module in ("trainer.trainer", "trainer.checkpoint.version"):
        monkeypatch.setattr(f"{module}.fault_point", fault_point)


def crash_at(monkeypatch: pytest.MonkeyPatch, point: str, version: int) -> None:
    """The trainer dies the `version`-th time it comes to `point`, counted from 0."""
    passed = 0

    def fault_point(name: str) -> None:
        nonlocal passed
        if name == point:
            passed += 1
            if passed == version + 1:
                raise Crash(name)

    _patch(monkeypatch, fault_point)


def halt_at(
    monkeypatch: pytest.MonkeyPatch, point: str, version: int
) -> tuple[threading.Event, Callable[[], None]]:
    """The first trainer to come to `point` the `version`-th time stands still there: an event
    that it is there, and what lets it go on."""
    reached, go_on = threading.Event(), threading.Event()
    passed = 0

    def fault_point(name: str) -> None:
        nonlocal passed
        if name == point:
            passed += 1
            if passed == version + 1:
                reached.set()
                go_on.wait(20)

    _patch(monkeypatch, fault_point)
    return reached, go_on.set
