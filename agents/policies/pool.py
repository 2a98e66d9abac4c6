"""Engines that serve one version each, for whoever asks for it by number: loaded when it is asked
for, the least recently used one given up for another. Knows no log.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from agents.engines.checkpoint.held import held
from agents.engines.engine import Engine
from bus.events import Weights


@dataclass(slots=True, kw_only=True)
class _Kept:
    """An engine that is loaded or being loaded, and how many use it. While it is kept nobody thins
    its version out."""

    loading: "asyncio.Future[Engine]"
    holding: ExitStack = field(default_factory=ExitStack)
    num_users: int = 0


class Pool:
    """At most `room` versions at a time; whoever asks for one more waits until one is idle."""

    def __init__(self, build: Callable[[], Engine], run_folder: Path, room: int = 2) -> None:
        self._build = build
        self._run_folder = run_folder
        self._room = room
        self._kept: OrderedDict[int, _Kept] = OrderedDict()
        self._lock = asyncio.Lock()
        self._freed = asyncio.Event()

    @property
    def versions(self) -> list[int]:
        """What is loaded, the most recently used one last."""
        return list(self._kept)

    @asynccontextmanager
    async def __call__(self, weights: Weights) -> AsyncIterator[Engine]:
        """An engine at this version. Raises `SwapRefused`."""
        kept = await self._take(weights)
        try:
            yield await asyncio.shield(kept.loading)
        finally:
            # Nothing is awaited here: whoever is cancelled again would not come back.
            kept.num_users -= 1
            failed = kept.loading.done() and (
                kept.loading.cancelled() or kept.loading.exception() is not None
            )
            if failed and self._kept.get(weights.number) is kept:
                del self._kept[weights.number]
            self._freed.set()
            self._freed = asyncio.Event()

    async def _take(self, weights: Weights) -> _Kept:
        while True:
            async with self._lock:
                if (kept := self._kept.get(weights.number)) is None and (
                    len(self._kept) < self._room or await self._give_one_up()
                ):
                    holding = ExitStack()
                    loading = asyncio.ensure_future(self._load(weights, holding))
                    kept = self._kept[weights.number] = _Kept(loading=loading, holding=holding)
                if kept is not None:
                    self._kept.move_to_end(weights.number)
                    kept.num_users += 1
                    return kept
                freed = self._freed
            await freed.wait()

    async def _give_one_up(self) -> bool:
        idle = [number for number, kept in self._kept.items() if not kept.num_users]
        if not idle:
            return False
        await asyncio.shield(_end(self._kept.pop(idle[0])))
        return True

    async def _load(self, weights: Weights, holding: ExitStack) -> Engine:
        folder = self._run_folder / weights.location
        holding.enter_context(held(folder))
        engine = None
        try:
            engine = await asyncio.to_thread(self._build)
            await engine.swap(weights.number, folder, weights.files)
        except BaseException:
            holding.close()
            if engine is not None:
                await asyncio.shield(engine.close())
            raise
        return engine

    async def close(self) -> None:
        async with self._lock:
            kept, self._kept = list(self._kept.values()), OrderedDict()
            for each in kept:
                await asyncio.shield(_end(each))


async def _end(kept: _Kept) -> None:
    if not kept.loading.done():
        kept.loading.cancel()
    await asyncio.wait([kept.loading])
    with kept.holding:
        if not kept.loading.cancelled() and kept.loading.exception() is None:
            await asyncio.shield(kept.loading.result().close())
