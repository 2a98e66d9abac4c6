"""What the services of one process share: the recipe, the log, engines, a thread to compute in, and
the parts that blocks are built from. Knows no service.
"""

from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from agents.domains.config import DomainConfig
from agents.domains.domain import Domain
from agents.parts import Parts
from agents.policies.follower import PolicyFollower
from agents.policies.policy import Policies, Policy
from agents.policies.serving import Serving
from bus.bus import Bus
from bus.control import Operator
from bus.events import Weights
from bus.hands import Hands
from bus.log import Log
from evolvent.errors import UsageError
from evolvent.recipe.recipe import Recipe
from evolvent.voice import Voice


class Workplace:
    """Of one process of the run `run_id`, whose checkpoints lie in `path`.

    Engines and the domain are built when they are first asked for; the services share the thread,
    and the engine of a policy that several of them name. `arrived` waits for the files of a version
    where they may come later than its event. Stops that the operator said before offset `since` of
    `control` were for others. What is in `hands` is remembered when the process dies.
    Blocks look back in `log`, which is that of the bus unless another is named.
    """

    def __init__(
        self,
        path: Path,
        run_id: str,
        recipe: Recipe,
        bus: Bus,
        voice: Voice,
        *,
        arrived: Callable[[Weights], Awaitable[None]] | None = None,
        since: int = 0,
        hands: Hands | None = None,
        log: Log | None = None,
    ) -> None:
        self.path = path
        self.recipe = recipe
        self.bus = bus
        self.voice = voice
        self.operator = Operator(since)
        self.hands = hands or Hands()
        self.executor = ThreadPoolExecutor(1, thread_name_prefix="compute")
        self.policies = Policies(self._policy)
        self._arrived = arrived
        engine = recipe.engine.in_process()
        self.parts = Parts(
            run=run_id,
            seed=recipe.seed,
            domain=_Loaded(recipe.domain),
            log=log or bus.log,
            policy=self.policies,
            serving=Serving(partial(engine.build, self.executor, recipe.seed), path, arrived),
        )

    @property
    def generates(self) -> bool:
        """Whether an engine was asked for."""
        return bool(self.policies) or bool(self.parts.serving)

    async def close(self) -> None:
        """End the engines; the log is for others to close."""
        await self.policies.close()
        await self.parts.serving.close()
        self.executor.shutdown()

    def _policy(self, name: str) -> Policy:
        rule = self.recipe.policy(name)
        engine = self.recipe.engine_of(rule).build(self.executor, self.recipe.seed)
        swapped = partial(self.voice.swapped, name)
        follower = PolicyFollower(
            self.bus, engine, self.path, swapped, self._arrived, rule=rule, policy=name
        )
        return Policy(name=name, engine=engine, follower=follower, model=self.recipe.base)


class _Loaded:
    """A domain that has loaded what its problems are made of."""

    def __init__(self, config: DomainConfig) -> None:
        self._config = config

    def build(self, parts: Parts) -> Domain:
        try:
            domain: Domain = self._config.build(parts)
        except ValueError as error:
            said = " ".join(str(error).split())
            raise UsageError(
                f"domain.type = {self._config.type!r} cannot be built: {said}"
            ) from error
        for family in domain.families:
            for level in domain.levels:
                domain.held_out(family, level, 1)
        return domain
