"""The whole loop in one process and in seconds: every role on its runner, a real trainer, and an
engine that answers better with every version."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random
from typing import Any

import pytest

from agents.critic import Critic
from agents.domains.strings import StringsConfig
from agents.engines.scripted import ScriptedEngine
from agents.evaluator import Evaluator, EvaluatorConfig
from agents.judges.exact import ExactConfig
from agents.parts import Parts
from agents.policies.follower import PolicyFollower
from agents.policies.policy import Policy
from agents.policies.serving import Serving
from agents.proposer import Proposer
from agents.samplers.single import SingleConfig
from agents.solver import Solver, SolverConfig
from agents.sources.curriculum import CurriculumConfig
from bus.bus import Bus
from bus.events import Control, Evaluation, Judgment, Task, Weights, derive_id
from bus.memory.bus import MemoryBus
from bus.runner import Role, Runner
from bus.sqlite.bus import SqliteBus
from bus.topics import TOPICS
from harness.runs import events
from observability.audit.audit import audit
from tests.trainer.classroom import SIZE, Classroom, until

RUN = "loop"
VERSIONS = 8
DOMAIN_CONFIG = StringsConfig(
    families=("reverse",), levels=(1, 2, 3, 4, 5), warmup_levels=(1, 2), held_out_from=4
)
DOMAIN = DOMAIN_CONFIG.build()
ROLES = {
    "proposer": "weights",
    "solver": "tasks",
    "critic": "attempts",
    "evaluator": "weights",
}


def skilled(prompt: str, version: int, random: Random) -> str:
    """Right with a chance that grows with the version."""
    right = DOMAIN.pose(prompt).answer
    return right if random.random() < version / (VERSIONS - 1) else right + "0"


def roles(room: Classroom, policy: Policy) -> dict[str, Any]:
    parts = Parts(
        run=RUN,
        seed=1,
        domain=DOMAIN_CONFIG,
        log=room.bus.log,
        policy=lambda name: policy,
        serving=Serving(lambda: ScriptedEngine(skilled), room.folder),
    )
    source = CurriculumConfig()
    return {
        "proposer": Proposer(
            parts, lambda _: source.build(parts), named=source.type, batch=SIZE, ahead=1
        ),
        "solver": Solver(parts, SingleConfig().build(parts), SolverConfig(samples=2)),
        "critic": Critic(RUN, ExactConfig().build(parts), "exact"),
        "evaluator": Evaluator(parts, EvaluatorConfig(every=VERSIONS - 1, count=8)),
    }


async def run_role(bus: Bus, name: str, role: Role[Any], stop: asyncio.Event) -> None:
    async with bus.subscribe([ROLES[name]], name, name) as subscription:
        await Runner(role, subscription, group=name, run=RUN, concurrency=8).run(stop)


async def evolve(room: Classroom) -> None:
    """Until `VERSIONS` versions are on the log, and the last of them is evaluated."""
    stop, training_stop = asyncio.Event(), asyncio.Event()
    engine = ScriptedEngine(skilled)
    follower = PolicyFollower(room.bus, engine, room.folder, lambda swap: None)
    policy = Policy(name="current", engine=engine, follower=follower)
    async with asyncio.timeout(90), asyncio.TaskGroup() as group:
        following = group.create_task(follower.run())
        for name, role in roles(room, policy).items():
            group.create_task(run_role(room.bus, name, role, stop))
        training = group.create_task(room.train(training_stop))
        await until(lambda: room.version_count >= VERSIONS)
        training_stop.set()
        await training
        await until(
            lambda: sum(lag.backlog for name in ROLES for lag in room.bus.log.lag(name)) == 0
        )
        stop.set()
        following.cancel()


@pytest.mark.parametrize(
    "make", [lambda folder: MemoryBus(), lambda f: SqliteBus(f / "log.sqlite")]
)
def test_a_system_of_roles_evolves_and_every_judgment_is_learned_once(
    make: Callable[[Path], Bus], tmp_path: Path
) -> None:
    async def scenario() -> None:
        bus = make(tmp_path)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(bus.close)
            await bus.publish(
                [
                    Control(
                        id=derive_id(RUN, "operator", "start"),
                        run=RUN,
                        agent="operator",
                        command="start",
                        settings={"trainer": {"max_staleness": 100}},
                    )
                ]
            )
            room = Classroom(bus, tmp_path, run=RUN)
            await evolve(room)

            published = room.versions()
            assert [weights.number for weights in published] == list(range(len(published)))
            assert len(published) >= VERSIONS
            judged = {event.id for event in events(bus, "judgments")}
            manifests = room.manifests()
            trained = [each.id for manifest in manifests for each in manifest.trained]
            assert len(set(trained)) == len(trained) == SIZE * (len(published) - 1)
            assert set(trained) <= judged
            # Nothing was lost on the way: what is not learned waits for the trainer.
            tasks = events(bus, "tasks")
            assert len(judged) == len(tasks) == len(trained) + room.backlog()
            assert not [
                event for topic in TOPICS for event in events(bus, topic) if ".dead" in topic
            ]
            check_pacing(bus, published)
            check_growth(bus)
            found = audit(bus.log, tmp_path)
            assert found.ok, found.violations[:3]

    asyncio.run(scenario())


def check_pacing(bus: Bus, published: list[Weights]) -> None:
    """No attempt is of weights older than its task's; nothing was asked beyond the credit."""
    for event in events(bus, "judgments"):
        assert isinstance(event, Judgment)
        oldest = event.attempt.oldest_version
        assert oldest is not None
        assert oldest >= event.attempt.task.weights_version
    asked: dict[int, int] = {}
    for event in events(bus, "tasks"):
        assert isinstance(event, Task)
        asked[event.weights_version] = asked.get(event.weights_version, 0) + 1
    assert asked == {0: 2 * SIZE} | {weights.number: SIZE for weights in published[1:]}


def check_growth(bus: Bus) -> None:
    scores = {
        event.weights_version: event.held_out
        for event in events(bus, "evaluations")
        if isinstance(event, Evaluation)
    }
    assert scores[0] == 0.0
    assert scores[VERSIONS - 1] == 1.0
