"""Every shipped recipe in little, to its end: all its roles on one loop, a seed model and two
versions after it, the last one evaluated; then a deep audit.

The models are so small that hardly anything is right, so that coins judge in the place of the
verifier. All else that is a method's own stays as its recipe has it.
"""

import asyncio
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest

from agents.sources.unlabeled import UnlabeledConfig
from bus.bus import Bus
from bus.events import Attempt, Evaluation, Event, Judgment, Refusal, Sample, Task, Weights
from bus.kafka.cluster.cluster import Cluster
from evolvent.recipe.load import load_recipe, shipped
from evolvent.recipe.recipe import Recipe
from evolvent.roles import services
from evolvent.run.folder import RunFolder
from evolvent.run.log import opened, started
from evolvent.voice import LogVoice
from evolvent.worker import Worker
from evolvent.workplace import Workplace
from harness.runs import read_topic
from tests.evolvent.conftest import Shown

VERSIONS = 2
SMALL = (
    "model={hidden=16, intermediate=24, layers=2, heads=2, head_dim=8, max_positions=4096}",
    "warmup.steps=8",
    "warmup.batch=16",
    "trainer.size=8",
    "evaluator.every=2",
    "evaluator.count=2",
)
WITH_VLLM = (
    "engine={type='vllm', cache_megabytes=32}",
    # The smallest heads that vLLM's attention has on a CPU.
    "model.head_dim=32",
)

Kind = TypeVar("Kind", bound=Event)


@dataclass(frozen=True, slots=True)
class Ran:
    """What a run has left on its log."""

    recipe: Recipe
    folder: Path

    def all(self, kind: type[Kind]) -> list[Kind]:
        return [one for one in read_topic(self.folder, kind.topic) if isinstance(one, kind)]

    @property
    def tasks(self) -> list[Task]:
        return self.all(Task)

    @property
    def samples(self) -> Iterator[Sample]:
        return (sample for one in self.all(Attempt) for sample in one.samples)

    @property
    def seats(self) -> set[str]:
        return {turn.seat for sample in self.samples for turn in sample.turns}

    @property
    def judges(self) -> set[str]:
        return {one.critic for one in self.all(Judgment)}

    @property
    def metrics(self) -> list[dict[str, float]]:
        """Of every version after the seed model."""
        return [one.metrics for one in self.all(Weights)][1:]

    @property
    def steps(self) -> list[float]:
        return [one["steps"] for one in self.metrics]


def has_asked_a_fixed_set(ran: Ran) -> bool:
    source = ran.recipe.source
    assert isinstance(source, UnlabeledConfig)
    asked = {(task.source, task.level) for task in ran.tasks}
    return asked == {("unlabeled", level) for level in source.levels or ()}


def has_proposed(ran: Ran) -> bool:
    written = [task.proposal for task in ran.tasks if task.proposal]
    return bool(written or ran.all(Refusal))


def has_graded(ran: Ran) -> bool:
    return all(
        grade.turn is not None
        for one in ran.all(Judgment)
        for sample, verdict in zip(one.attempt.samples, one.verdicts, strict=True)
        for grade in verdict.combined
    ) and any(verdict.combined for one in ran.all(Judgment) for verdict in one.verdicts)


def has_restarted(ran: Ran) -> bool:
    _, *later = ran.metrics
    return all(one.get("from_version") == 0 for one in later)


def has_hidden_its_hints(ran: Ran) -> bool:
    """They are read and never learned, and what they helped to counts for no success."""
    hinted = [turn for one in ran.samples for turn in one.turns if turn.seat == "hinted"]
    for turn in hinted:
        assert turn.learned_prompt is not None
        assert len(turn.learned_prompt) < len(turn.prompt_tokens)
    for version in ran.all(Weights):
        assert [one.samples for one in version.batch] == [one.tasks for one in version.batch]
    return bool(hinted)


def has_evolved_tasks(ran: Ran) -> bool:
    return {task.source for task in ran.tasks} == {"mutate"}


HAS: Mapping[str, tuple[Callable[[Ran], bool], ...]] = {
    "absolute-zero": (has_proposed,),
    "chat-zero": (has_proposed,),
    "cream": (lambda ran: ran.judges == {"implicit"},),
    "eva": (has_evolved_tasks,),
    "evol-instruct": (has_evolved_tasks,),
    "learned": (has_proposed,),
    "lmsi": (has_asked_a_fixed_set,),
    "reflexion": (lambda ran: not any(ran.steps),),
    "rest-em": (has_restarted,),
    "rft": (lambda ran: not has_restarted(ran),),
    "self-instruct": (has_proposed,),
    "self-refine": (lambda ran: "critic" in ran.seats,),
    "self-rewarding": (has_graded,),
    "sit": (lambda ran: {task.level for task in ran.tasks} == {9},),
    "spin": (lambda ran: all(one["staleness_max"] == 0 for one in ran.metrics),),
    "spiral": (lambda ran: ran.seats == {"first", "second"},),
    "star": (has_restarted, has_hidden_its_hints),
    "ttrl": (has_asked_a_fixed_set,),
}
"""What a method is known by, on the log of a run."""


async def evolve(folder: RunFolder, recipe: Recipe) -> None:
    """Until the last version is there and evaluated."""
    async with opened(folder, recipe, lambda said: None) as bus:
        await bus.publish([started(folder, recipe, 0)])
        place = Workplace(folder.path, folder.run_id, recipe, bus, LogVoice())
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(Worker(place).run(tuple(services(recipe)), stop))
            while not _evolved(bus):  # noqa: ASYNC110 - what a reader of the log sees has no event
                await asyncio.sleep(0.05)
            stop.set()


def _evolved(bus: Bus) -> bool:
    heads = bus.log.heads()
    return heads["weights", 0] > VERSIONS and heads["evaluations", 0] > 1


def in_little(name: str, *others: str, bus: str | None = None) -> Recipe:
    whole = load_recipe(name)
    settings = [*SMALL, f"solver.samples={min(whole.solver.samples, 4)}"]
    if whole.judge.type == "exact":
        settings.append("judge={type='chance'}")
    if whole.domain.type == "kuhn" or whole.judge.type == "policy":
        # Whoever knows no legal move never lets the other one play; what has no end has no grade.
        settings.append("warmup.steps=60")
    if whole.learner.restart_every or name == "sit-large":
        settings.append("loss.steps=4")
    if whole.domain.type == "python_programs":
        # A task is a page of text, and there is no GPU.
        settings += ["engine.device=cpu", "learner.device=cpu"]
        settings += ["domain.levels=[1, 2]", "domain.max_answer_tokens=16", "source.show_made=1"]
    return load_recipe(name, [*settings, *others], bus)


def ran(name: str, folder: Path, *others: str, bus: str | None = None) -> Ran:
    recipe = in_little(name, *others, bus=bus)
    asyncio.run(evolve(RunFolder(folder), recipe))
    return Ran(recipe, folder)


@pytest.mark.parametrize("name", shipped())
def test_a_recipe_comes_to_its_end_and_an_audit_finds_nothing(
    name: str, tmp_path: Path, shown: Shown
) -> None:
    check(name, tmp_path / "run", shown)


@pytest.mark.long
@pytest.mark.parametrize("name", shipped())
def test_a_recipe_comes_to_its_end_on_a_broker(
    name: str, tmp_path: Path, shown: Shown, cluster: Cluster
) -> None:
    bus = f"kafka://{cluster.bootstrap_servers}/{cluster.app}"
    check(name, tmp_path / "run", shown, bus=bus)


@pytest.mark.long
@pytest.mark.vllm
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", shipped())
def test_a_recipe_comes_to_its_end_with_vllm(name: str, tmp_path: Path, shown: Shown) -> None:
    check(name, tmp_path / "run", shown, *WITH_VLLM)


def check(name: str, folder: Path, shown: Shown, *others: str, bus: str | None = None) -> None:
    found = ran(name, folder, *others, bus=bus)
    assert re.search("^violations +0$", shown("audit", folder, "--deep"), re.MULTILINE)
    assert [one.weights_version for one in found.all(Evaluation)][:2] == [0, VERSIONS]
    if found.judges == {"chance"} and found.recipe.loss.type != "none":
        assert all(found.steps[:VERSIONS]), "nothing was learned"
    for has in HAS.get(name, ()):
        assert has(found), has
