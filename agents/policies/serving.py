"""Engines that serve exactly one version, for whoever measures it. Knows no rule and no log."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import cached_property
from pathlib import Path

from agents.engines.checkpoint.held import held
from agents.engines.engine import Engine
from bus.events import Weights


class Serving:
    """Opens an engine at a version. One is kept and moved on, as long as versions come in order;
    for an older one another is built.

    `run_folder` and `arrived` are those of `PolicyFollower`.
    """

    def __init__(
        self,
        build: Callable[[], Engine],
        run_folder: Path,
        arrived: Callable[[Weights], Awaitable[None]] | None = None,
    ) -> None:
        self._build = build
        self._run_folder = run_folder
        self._arrived = arrived
        self._built: Engine | None = None

    @cached_property
    def engine(self) -> Engine:
        """The one that is kept. Building it may take seconds."""
        self._built = self._build()
        return self._built

    def __bool__(self) -> bool:
        """Whether it was asked for."""
        return self._built is not None

    @asynccontextmanager
    async def __call__(self, weights: Weights) -> AsyncIterator[Engine]:
        """Raises `SwapRefused`."""
        if self._arrived is not None:
            await self._arrived(weights)
        kept = await asyncio.to_thread(lambda: self.engine)
        engine = kept
        if weights.number < kept.version:
            engine = await asyncio.to_thread(self._build)
        folder = self._run_folder / weights.location
        try:
            with held(folder):
                await engine.swap(weights.number, folder, weights.files)
                yield engine
        finally:
            if engine is not kept:
                await asyncio.shield(engine.close())

    async def close(self) -> None:
        if self._built is not None:
            await asyncio.shield(self._built.close())
