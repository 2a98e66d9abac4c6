"""The small part that follows `weights` and swaps one engine to the version that is due."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from agents.engines.checkpoint.held import held
from agents.engines.engine import Engine, EngineUnusable, Swap, SwapRefused
from agents.policies.config import BUILT_IN, PolicyConfig
from agents.policies.swapping import swapping
from bus.bus import Bus
from bus.errors import first_of
from bus.events import CURRENT, Promotion, Weights, derive_id
from bus.tracing.sending import saying
from bus.versions import Versions

AGENT = "follower"


class PolicyFollower:
    """Keeps `engine` at the version that is due by `rule`; versions that were overtaken are never
    loaded.

    `run_folder` is where the locations of `Weights` are relative to; `arrived` waits until the
    files of a version are there. `on_swap` hears of every swap. A version that is refused, or
    whose parent is not on the log, becomes a `Promotion` that says why, and the one before serves
    on until a later one comes. If none does in `patience_seconds`, or none serves yet, `run`
    raises `SwapRefused`: tasks that the version granted could never be attempted.
    """

    def __init__(
        self,
        bus: Bus,
        engine: Engine,
        run_folder: Path,
        on_swap: Callable[[Swap], None],
        arrived: Callable[[Weights], Awaitable[None]] | None = None,
        *,
        rule: PolicyConfig = BUILT_IN[CURRENT],
        policy: str = CURRENT,
        patience_seconds: float = 60.0,
    ) -> None:
        self._bus = bus
        self._versions = Versions(bus.log)
        self._engine = engine
        self._run_folder = run_folder
        self._on_swap = on_swap
        self._arrived = arrived
        self._rule = rule
        self._policy = policy
        self._patience_seconds = patience_seconds
        self._news = asyncio.Event()
        self._followed = -1
        self._moved = asyncio.Condition()

    async def run(self) -> None:
        """Follow for ever; cancel to stop. Raises `EngineUnusable` if the engine's server follows
        another policy."""
        try:
            async with asyncio.TaskGroup() as group:
                heads = await asyncio.to_thread(self._bus.log.heads)
                for topic in self._rule.topics:
                    group.create_task(self._listen(topic, heads[topic, 0]))
                await self._follow()
        except BaseExceptionGroup as group:
            raise first_of(group) from None

    async def at_least(self, version: int) -> None:
        """Wait until the engine serves what is due once `version` is the newest, or a later one."""
        if self._followed < version:
            async with self._moved:
                await self._moved.wait_for(lambda: self._followed >= version)

    async def _listen(self, topic: str, start: int) -> None:
        async for _ in self._bus.follow(topic, start=start):
            self._news.set()

    async def _follow(self) -> None:
        refused: SwapRefused | None = None
        self._news.set()
        while True:
            try:
                async with asyncio.timeout(self._patience_seconds if refused else None):
                    await self._news.wait()
            except TimeoutError:
                assert refused is not None
                raise refused from None
            self._news.clear()
            newest, due = await asyncio.to_thread(self._look)
            if newest is None or due is None:
                continue
            # The engine of a server moves on by itself: then nothing is left to swap.
            if due.number > self._engine.version:
                if await asyncio.to_thread(self._is_gone, due):
                    continue
                refused = await self._serve(due)
            if refused is None:
                async with self._moved:
                    self._followed = newest.number
                    self._moved.notify_all()

    def _look(self) -> tuple[Weights | None, Weights | None]:
        """The newest version, and the one that is due: in this order, so that what is due is never
        older than what the newest asks for."""
        return self._versions.newest(), self._rule.due(self._versions)

    def _is_gone(self, weights: Weights) -> bool:
        """Whether the weights were thinned out: then the trainer is about to follow it with a
        version that is whole."""
        return (self._run_folder / weights.location / "thinned.json").exists()

    async def _serve(self, weights: Weights) -> SwapRefused | None:
        """Swap to a version; why not, if the one before serves on."""
        folder = self._run_folder / weights.location
        try:
            if not await asyncio.to_thread(self._versions.follows, weights):
                raise SwapRefused(
                    f"version {weights.number} names version {weights.parent} "
                    f"({weights.parent_id}) its parent, which is not on the log"
                )
            if not folder.resolve().is_relative_to(self._run_folder.resolve()):
                raise SwapRefused(f"version {weights.number} lies outside {self._run_folder}")
            if self._arrived is not None:
                await self._arrived(weights)
            with held(folder), swapping(weights, self._policy) as swapped:
                swap = await self._engine.swap(weights.number, folder, weights.files)
                swapped(swap)
        except SwapRefused as refused:
            await self._publish(_rejected(weights, str(refused)))
            if self._engine.version < 0:
                raise
            return refused
        await asyncio.to_thread(self._check_policy, swap.to_version)
        self._on_swap(swap)
        return None

    async def _publish(self, rejected: Promotion) -> None:
        with saying(rejected):
            await self._bus.publish([rejected])

    def _check_policy(self, served: int) -> None:
        """A server may be ahead of us on the log, but not of what its policy may serve there."""
        due = self._rule.due(self._versions)
        if due is not None and served > due.number:
            raise EngineUnusable(
                f"the engine's server serves version {served} where {due.number} is due: it "
                "follows another policy; start it with `evolvent serve RUN --policy NAME`"
            )


def _rejected(weights: Weights, reason: str) -> Promotion:
    return Promotion(
        id=derive_id(weights.run, AGENT, weights.id),
        run=weights.run,
        agent=AGENT,
        weights=weights.id,
        weights_version=weights.number,
        decision="rejected",
        reasons=(reason,),
    )
