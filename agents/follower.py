"""The small part that follows `weights` and swaps the engine of its process to the newest."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from agents.engines.engine import Engine, Swap
from bus.bus import Bus
from bus.events import Weights


class PolicyFollower:
    """Keeps `engine` at the newest version; versions that were overtaken are never loaded.

    `run_folder` is where the locations of `Weights` are relative to; `arrived` waits until the
    files of a version are there. `on_swap` hears of every swap. A version that cannot be served
    raises `SwapRefused` out of `run`: tasks that it granted could never be attempted, so the
    process must not go on.
    """

    def __init__(
        self,
        bus: Bus,
        engine: Engine,
        run_folder: Path,
        on_swap: Callable[[Swap], None],
        arrived: Callable[[Weights], Awaitable[None]] | None = None,
    ) -> None:
        self._bus = bus
        self._engine = engine
        self._run_folder = run_folder
        self._on_swap = on_swap
        self._arrived = arrived
        self._swapped = asyncio.Condition()

    async def run(self) -> None:
        """Follow for ever; cancel to stop."""
        newest = max(0, self._bus.heads()["weights", 0] - 1)
        async for record in self._bus.follow("weights", start=newest):
            if record.offset + 1 < self._bus.heads()["weights", 0]:
                continue
            weights = record.event()
            assert isinstance(weights, Weights)
            if self._arrived is not None:
                await self._arrived(weights)
            folder = self._run_folder / weights.location
            swap = await self._engine.swap(weights.number, folder, weights.files)
            self._on_swap(swap)
            async with self._swapped:
                self._swapped.notify_all()

    async def at_least(self, version: int) -> None:
        """Wait until the engine serves `version` or a later one."""
        if self._engine.version >= version:
            return
        async with self._swapped:
            await self._swapped.wait_for(lambda: self._engine.version >= version)
