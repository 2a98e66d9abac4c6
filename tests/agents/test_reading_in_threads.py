"""No role reads the log on its event loop: all of them at work on a log that would not stand it."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from agents.critic import Critic
from agents.engines.scripted import ScriptedEngine
from agents.evaluator import Evaluator, EvaluatorConfig
from agents.judges.combined import Combined
from agents.judges.exact import ExactConfig
from agents.judges.judge import Judge
from agents.judges.model import ModelConfig
from agents.parts import Parts
from agents.policies.config import BUILT_IN
from agents.policies.follower import PolicyFollower
from agents.policies.policy import Policies, Policy
from agents.policies.serving import Serving
from agents.proposer import Proposer
from agents.samplers.second_look import SecondLookConfig
from agents.solver import Solver, SolverConfig
from agents.sources.config import SourceConfig
from agents.sources.curriculum import CurriculumConfig
from agents.sources.learned import LearnedConfig
from agents.sources.mutate import MutateConfig
from bus.events import Control, Evaluation, Judgment, Promotion, Weights, derive_id
from bus.memory.bus import MemoryBus
from bus.runner import Runner
from tests.agents.asking import RUN, STRINGS
from tests.agents.policies.versions import checkpoint
from tests.bus.sleeping import SleepingBus
from tests.bus.solving import events_on, until

BATCH = 2
TOPICS = {
    "proposer": ["weights"],
    "solver": ["tasks"],
    "critic": ["attempts"],
    "evaluator": ["weights", "control"],
}


def says_something(prompt: str, version: int, random: Random) -> str:
    if prompt == "P>":
        return "r" + "".join(random.choices("0123456789", k=5))
    return random.choice(["yes", "no", "21"])


def parts_over(bus: SleepingBus, folder: Path) -> tuple[Parts, Policies]:
    def make(name: str) -> Policy:
        own = ScriptedEngine(says_something)
        follower = PolicyFollower(bus, own, folder, lambda swap: None, rule=BUILT_IN[name])
        return Policy(name=name, engine=own, follower=follower)

    policies = Policies(make)
    serving = Serving(lambda: ScriptedEngine(says_something), folder)
    return Parts(
        run=RUN, seed=0, domain=STRINGS, log=bus.log, policy=policies, serving=serving
    ), policies


def roles_of(parts: Parts, source: str, policy: str) -> dict[str, Any]:
    sources: dict[str, SourceConfig] = {
        "curriculum": CurriculumConfig(),
        "learned": LearnedConfig(policy=policy),
        "mutate": MutateConfig(parents="regret"),
    }
    judges: list[tuple[str, Judge]] = [
        ("exact", ExactConfig().build(parts)),
        ("model", ModelConfig(policy=policy).build(parts)),
    ]
    return {
        "proposer": Proposer(
            parts, lambda _: sources[source].build(parts), named=source, batch=BATCH, ahead=0
        ),
        "solver": Solver(
            parts, SecondLookConfig().build(parts), SolverConfig(samples=2, policy=policy)
        ),
        "critic": Critic(RUN, Combined(judges, "product", ()), "product(exact,model)"),
        "evaluator": Evaluator(parts, EvaluatorConfig(every=2, count=2)),
    }


async def live(
    bus: SleepingBus, folder: Path, source: str, policy: str, done: Callable[[], bool]
) -> None:
    """One life of all roles."""
    parts, policies = parts_over(bus, folder)
    stop = asyncio.Event()
    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        for name, role in roles_of(parts, source, policy).items():
            subscription = bus.subscribe(TOPICS[name], name, name)
            working = Runner(role, subscription, group=name, run=RUN, concurrency=4)
            tasks.create_task(working.run(stop))
        following = tasks.create_task(policies.run())
        await until(done)
        stop.set()
        following.cancel()


def promotion(of: Weights) -> Promotion:
    return Promotion(
        id=derive_id(RUN, "gate", of.id),
        run=RUN,
        agent="gate",
        weights=of.id,
        weights_version=of.number,
        decision="promoted",
    )


@pytest.mark.parametrize(
    ("source", "policy"),
    [
        ("curriculum", "current"),
        ("curriculum", "previous"),
        ("learned", "reference"),
        ("learned", "promoted"),
        ("mutate", "current"),
    ],
)
def test_no_role_reads_the_log_on_its_event_loop(tmp_path: Path, source: str, policy: str) -> None:
    async def scenario() -> None:
        seen = MemoryBus()
        bus = SleepingBus(seen)

        def judged() -> int:
            return sum(isinstance(event, Judgment) for event in events_on(seen, "judgments"))

        def evaluated() -> list[int]:
            events = events_on(seen, "evaluations")
            return [event.weights_version for event in events if isinstance(event, Evaluation)]

        first, second = checkpoint(tmp_path, 0), checkpoint(tmp_path, 1)
        await bus.publish([first])
        await live(bus, tmp_path, source, policy, lambda: judged() == BATCH and evaluated() == [0])
        evaluate = Control(
            id=derive_id(RUN, "operator", "1"),
            run=RUN,
            agent="operator",
            command="evaluate",
            weights_version=1,
        )
        # Other processes of the same roles: they find on the log how far the first have come.
        consumed = second.model_copy(update={"consumed": BATCH})
        await bus.publish([consumed, promotion(consumed), evaluate])
        await live(
            bus, tmp_path, source, policy, lambda: judged() == 2 * BATCH and evaluated() == [0, 1]
        )
        assert len(events_on(seen, "curricula")) == 2
        assert bus.log.num_calls > 0

    asyncio.run(scenario())
