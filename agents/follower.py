"""The small part that follows `weights` and swaps the engine of its process to the newest."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from agents.engines.engine import Engine, Swap, SwapRefused
from bus.bus import Bus
from bus.events import Promotion, Weights, derive_id

AGENT = "follower"


class PolicyFollower:
    """Keeps `engine` at the newest version; versions that were overtaken are never loaded.

    `run_folder` is where the locations of `Weights` are relative to; `arrived` waits until the
    files of a version are there. `on_swap` hears of every swap. A version that is refused becomes
    a `Promotion` that says why, and the one before serves on until a later one comes. If none does
    in `patience_seconds`, or none serves yet, `run` raises `SwapRefused`: tasks that the version
    granted could never be attempted.
    """

    def __init__(
        self,
        bus: Bus,
        engine: Engine,
        run_folder: Path,
        on_swap: Callable[[Swap], None],
        arrived: Callable[[Weights], Awaitable[None]] | None = None,
        *,
        patience_seconds: float = 60.0,
    ) -> None:
        self._bus = bus
        self._engine = engine
        self._run_folder = run_folder
        self._on_swap = on_swap
        self._arrived = arrived
        self._patience_seconds = patience_seconds
        self._swapped = asyncio.Condition()

    async def run(self) -> None:
        """Follow for ever; cancel to stop."""
        refused: SwapRefused | None = None
        versions = self._newest_versions()
        while True:
            try:
                async with asyncio.timeout(self._patience_seconds if refused else None):
                    weights = await anext(versions)
            except TimeoutError:
                assert refused is not None
                raise refused from None
            refused = await self._serve(weights)

    async def at_least(self, version: int) -> None:
        """Wait until the engine serves `version` or a later one."""
        if self._engine.version >= version:
            return
        async with self._swapped:
            await self._swapped.wait_for(lambda: self._engine.version >= version)

    async def _newest_versions(self) -> AsyncIterator[Weights]:
        newest = max(0, self._bus.heads()["weights", 0] - 1)
        async for record in self._bus.follow("weights", start=newest):
            if record.offset + 1 < self._bus.heads()["weights", 0]:
                continue
            weights = record.event()
            assert isinstance(weights, Weights)
            yield weights

    async def _serve(self, weights: Weights) -> SwapRefused | None:
        """Swap to a version; why not, if the one before serves on."""
        if self._arrived is not None:
            await self._arrived(weights)
        folder = self._run_folder / weights.location
        try:
            if not folder.resolve().is_relative_to(self._run_folder.resolve()):
                raise SwapRefused(f"version {weights.number} lies outside {self._run_folder}")
            swap = await self._engine.swap(weights.number, folder, weights.files)
        except SwapRefused as refused:
            await self._bus.publish([_rejected(weights, str(refused))])
            if self._engine.version < 0:
                raise
            return refused
        self._on_swap(swap)
        async with self._swapped:
            self._swapped.notify_all()
        return None


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
