"""The policy "promoted" serves what a gate has let through; whoever waits for a version that is
refused waits for a better one."""

import asyncio
from pathlib import Path
from typing import Literal

import pytest

from agents.engines.engine import Swap
from agents.policies.config import BUILT_IN
from agents.policies.follower import PolicyFollower
from agents.policies.policy import Policy
from bus.events import Promotion, Weights, derive_id
from bus.memory.bus import MemoryBus
from tests.agents.asking import RUN, engine, says
from tests.agents.policies.versions import checkpoint
from tests.bus.solving import until


def judged(
    weights: Weights, decision: Literal["promoted", "rejected", "rolled_back"] = "promoted"
) -> Promotion:
    return Promotion(
        id=derive_id(RUN, "gate", f"{weights.id}/{decision}"),
        run=RUN,
        agent="gate",
        weights=weights.id,
        weights_version=weights.number,
        decision=decision,
    )


def test_version_0_is_served_until_another_is_promoted(tmp_path: Path) -> None:
    async def scenario() -> None:
        bus, own, swaps = MemoryBus(), engine(says(""), version=-1), list[Swap]()
        follower = PolicyFollower(bus, own, tmp_path, swaps.append, rule=BUILT_IN["promoted"])
        following = asyncio.ensure_future(follower.run())
        made = [checkpoint(tmp_path, number) for number in range(5)]
        await bus.publish(made[:3])
        await asyncio.wait_for(follower.at_least(2), 10)
        assert own.version == 0
        await bus.publish([judged(made[2], "rejected"), judged(made[1])])
        await until(lambda: own.version == 1)
        await bus.publish(made[3:])
        await asyncio.wait_for(follower.at_least(4), 10)
        assert own.version == 1
        await bus.publish([judged(made[3])])
        await until(lambda: len(swaps) == 3)
        following.cancel()
        assert [swap.to_version for swap in swaps] == [0, 1, 3] == [0, 1, own.version]

    asyncio.run(scenario())


def test_whoever_starts_later_serves_what_was_promoted_last_and_not_taken_back(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        bus, own, swaps = MemoryBus(), engine(says(""), version=-1), list[Swap]()
        made = [checkpoint(tmp_path, number) for number in range(4)]
        await bus.publish([*made, judged(made[1]), judged(made[3]), judged(made[3], "rolled_back")])
        follower = PolicyFollower(bus, own, tmp_path, swaps.append, rule=BUILT_IN["promoted"])
        following = asyncio.ensure_future(follower.run())
        await asyncio.wait_for(follower.at_least(3), 10)
        following.cancel()
        assert [swap.to_version for swap in swaps] == [1]

    asyncio.run(scenario())


@pytest.mark.parametrize("name", ["current", "promoted"])
def test_who_waits_for_a_version_that_is_refused_waits_on(tmp_path: Path, name: str) -> None:
    async def scenario() -> None:
        bus, own = MemoryBus(), engine(says("21"), version=-1)
        follower = PolicyFollower(bus, own, tmp_path, lambda swap: None, rule=BUILT_IN[name])
        policy = Policy(name=name, engine=own, follower=follower)
        following = asyncio.ensure_future(follower.run())
        await bus.publish([checkpoint(tmp_path, 0)])
        await asyncio.wait_for(follower.at_least(0), 10)
        damaged, good = checkpoint(tmp_path, 1), checkpoint(tmp_path, 2)
        (tmp_path / "v1" / "model.safetensors").write_bytes(b"other")
        waiting = asyncio.ensure_future(policy.sample("r12>", max_tokens=9, since=1))
        await bus.publish([judged(damaged), damaged])
        async with asyncio.timeout(10):
            async for record in bus.follow("promotions"):
                if record.event().agent == "follower":
                    break
        # Whatever else is said, it is as damaged as before.
        await bus.publish([judged(damaged, "rejected")] if name == "current" else [])
        await asyncio.sleep(0.05)
        assert not waiting.done()
        assert own.version == 0
        await bus.publish([judged(good), good])
        [turn] = await asyncio.wait_for(waiting, 10)
        assert [span.version for span in turn.spans] == [2]
        following.cancel()

    asyncio.run(scenario())
