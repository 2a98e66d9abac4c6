"""Parts for blocks under test: engines that follow a script, on a log in memory."""

from collections.abc import Callable, Mapping
from pathlib import Path

from agents.domains.config import DomainConfig
from agents.engines.engine import Engine
from agents.engines.scripted import ScriptedEngine
from agents.parts import Parts
from agents.policies.follower import PolicyFollower
from agents.policies.policy import Policy
from agents.policies.serving import Serving
from bus.bus import Bus
from bus.memory.bus import MemoryBus
from tests.agents.asking import RUN, STRINGS, says


class Ready(PolicyFollower):
    """Follows nothing: its engine is always new enough."""

    async def at_least(self, version: int) -> None:
        return None


def parts_for(
    domain: DomainConfig = STRINGS,
    *,
    engine: Engine | None = None,
    others: Mapping[str, Engine] | None = None,
    bus: Bus | None = None,
    serves: Callable[[], Engine] = lambda: ScriptedEngine(says("")),
    seed: int = 0,
) -> Parts:
    """Every policy speaks by `engine`, or by its own of `others`, and waits for no version.
    `serves` makes the engines of chosen versions."""
    log = bus or MemoryBus()
    shared = engine or ScriptedEngine(says(""), version=0)

    def policy(name: str) -> Policy:
        own = (others or {}).get(name, shared)
        follower = Ready(log, own, Path(), lambda swap: None)
        return Policy(name=name, engine=own, follower=follower)

    return Parts(
        run=RUN,
        seed=seed,
        domain=domain,
        log=log.log,
        policy=policy,
        serving=Serving(serves, Path()),
    )
