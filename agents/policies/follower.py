"""The small part that follows `weights` and swaps one engine to the version that is due."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from agents.engines.engine import Engine, EngineUnusable, Swap, SwapRefused
from bus.bus import Bus
from bus.events import Promotion, Weights, derive_id

AGENT = "follower"


class PolicyFollower:
    """Keeps `engine` at the version that is `due` while a given one is the newest; versions that
    were overtaken are never loaded.

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
        due: Callable[[int], int] = lambda newest: newest,
        patience_seconds: float = 60.0,
    ) -> None:
        self._bus = bus
        self._engine = engine
        self._run_folder = run_folder
        self._on_swap = on_swap
        self._arrived = arrived
        self._due = due
        self._patience_seconds = patience_seconds
        self._moved = asyncio.Condition()

    async def run(self) -> None:
        """Follow for ever; cancel to stop. Raises `EngineUnusable` if the engine's server follows
        another policy."""
        refused: SwapRefused | None = None
        versions = self._newest_versions()
        while True:
            try:
                async with asyncio.timeout(self._patience_seconds if refused else None):
                    newest = await anext(versions)
            except TimeoutError:
                assert refused is not None
                raise refused from None
            weights = await asyncio.to_thread(self._next, newest)
            if weights is not None:
                refused = await self._serve(weights)
            # The engine of a server moves on by itself: then nothing is left to swap.
            async with self._moved:
                self._moved.notify_all()

    async def at_least(self, version: int) -> None:
        """Wait until the engine serves what is due once `version` is the newest, or a later one."""
        due = self._due(version)
        if self._engine.version >= due:
            return
        async with self._moved:
            await self._moved.wait_for(lambda: self._engine.version >= due)

    async def _newest_versions(self) -> AsyncIterator[Weights]:
        newest = max(0, self._bus.heads()["weights", 0] - 1)
        async for record in self._bus.follow("weights", start=newest):
            if record.offset + 1 < self._bus.heads()["weights", 0]:
                continue
            weights = record.event()
            assert isinstance(weights, Weights)
            yield weights

    def _next(self, newest: Weights) -> Weights | None:
        """The version that is due; None while it serves already, or is yet to come."""
        due = self._due(newest.number)
        if due <= self._engine.version or due > newest.number:
            return None
        if due == newest.number:
            return newest
        # A version stands at the offset of its number, or beyond it if strangers were published.
        for record in self._bus.read("weights", start=due):
            weights = record.event()
            assert isinstance(weights, Weights)
            if weights.number == due and self._has_parent(weights):
                return weights
        return None

    def _has_parent(self, weights: Weights) -> bool:
        """Whether the version that it says it was made from is on the log."""
        if weights.parent_id is None:
            return weights.number == 0
        found = self._bus.find(weights.parent_id)
        parent = None if found is None else found.event()
        return isinstance(parent, Weights) and parent.number == weights.parent

    async def _serve(self, weights: Weights) -> SwapRefused | None:
        """Swap to a version; why not, if the one before serves on."""
        folder = self._run_folder / weights.location
        try:
            if not await asyncio.to_thread(self._has_parent, weights):
                raise SwapRefused(
                    f"version {weights.number} names version {weights.parent} "
                    f"({weights.parent_id}) its parent, which is not on the log"
                )
            if not folder.resolve().is_relative_to(self._run_folder.resolve()):
                raise SwapRefused(f"version {weights.number} lies outside {self._run_folder}")
            if self._arrived is not None:
                await self._arrived(weights)
            swap = await self._engine.swap(weights.number, folder, weights.files)
        except SwapRefused as refused:
            await self._bus.publish([_rejected(weights, str(refused))])
            if self._engine.version < 0:
                raise
            return refused
        self._check_policy(swap.to_version)
        self._on_swap(swap)
        return None

    def _check_policy(self, served: int) -> None:
        """A server may be ahead of us on the log, but not of what its policy may serve there."""
        newest = self._bus.heads()["weights", 0] - 1
        if served > self._due(newest):
            raise EngineUnusable(
                f"the engine's server serves version {served} where {self._due(newest)} is due: it "
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
