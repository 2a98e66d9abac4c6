"""The solver: a group per task, by weights no older than the task's."""

import asyncio
from pathlib import Path
from random import Random

from agents.parts import Parts
from agents.policies.follower import PolicyFollower
from agents.policies.policy import Policy
from agents.policies.serving import Serving
from agents.samplers.single import SingleConfig
from agents.solver import Solver, SolverConfig
from bus.memory.bus import MemoryBus
from tests.agents.asking import AT, DOMAIN, RUN, STRINGS, engine, says, task
from tests.agents.parts import parts_for
from tests.agents.policies.versions import checkpoint


def solver(parts: Parts, samples: int) -> Solver:
    return Solver(parts, SingleConfig().build(parts), SolverConfig(samples=samples))


def test_a_task_becomes_a_group_of_samples() -> None:
    def script(prompt: str, version: int, random: Random) -> str:
        return random.choice(["21", "12", "2" * 9])

    own = engine(script, version=3)
    asked = task("r12", version=3)
    attempt, _ = asyncio.run(solver(parts_for(engine=own), 6).attempt(asked))
    assert attempt.task == asked
    assert len(attempt.samples) == 6
    assert {sample.answer for sample in attempt.samples} >= {"21", "12"}
    for sample in attempt.samples:
        [turn] = sample.turns
        assert (turn.policy, turn.trainable) == ("current", True)
        assert own.decode(turn.prompt_tokens) == "r12>"
        assert own.decode(turn.tokens) == turn.text
        assert len(turn.logprobs) == len(turn.tokens) <= DOMAIN.max_answer_tokens(2)
        assert [(span.version, span.start, span.end) for span in turn.spans] == [
            (3, 0, len(turn.tokens))
        ]
        assert sample.ended == (len(turn.text) == 2)


def test_a_retry_has_the_same_id_whatever_the_model_says() -> None:
    def group(text: str) -> str:
        attempt, _ = asyncio.run(
            solver(parts_for(engine=engine(says(text))), 2).attempt(task("r12"))
        )
        return attempt.model_copy(update={"created_at": AT}).id

    assert group("21") == group("99")


def test_a_task_waits_for_the_version_that_granted_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        bus, own = MemoryBus(), engine(says("21"), version=-1)
        follower = PolicyFollower(bus, own, tmp_path, lambda swap: None)
        parts = Parts(
            run=RUN,
            seed=0,
            domain=STRINGS,
            log=bus,
            policy=lambda name: Policy(name=name, engine=own, follower=follower),
            serving=Serving(lambda: own, tmp_path),
        )
        role = solver(parts, 1)
        following = asyncio.ensure_future(follower.run())
        await bus.publish([checkpoint(tmp_path, 0)])
        await asyncio.wait_for(follower.at_least(0), 10)
        early = asyncio.ensure_future(role.attempt(task("r12", version=1)))
        at_once, _ = await role.attempt(task("r12", version=0))
        assert at_once.oldest_version == 0
        await asyncio.sleep(0.05)
        assert not early.done()
        await bus.publish([checkpoint(tmp_path, 1)])
        attempt, _ = await asyncio.wait_for(early, 10)
        assert attempt.oldest_version == 1
        following.cancel()

    asyncio.run(scenario())
