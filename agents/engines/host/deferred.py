"""An engine that is built when it is first to serve: whoever asks meanwhile hears that nothing is
served yet.
"""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from agents.engines.engine import Completion, Engine, Heard, Prompt, Request, Swap, Tells


class Deferred:
    """`Engine` around what `build` makes. Building may take minutes, and raises as `build` does."""

    def __init__(self, build: Callable[[], Engine]) -> None:
        self._build = build
        self._built: Engine | None = None
        self._building = asyncio.Lock()

    @property
    def version(self) -> int:
        return -1 if self._built is None else self._built.version

    def encode(self, prompt: Prompt) -> tuple[int, ...]:
        return self._ready().encode(prompt)

    def decode(self, tokens: Sequence[int]) -> str:
        return self._ready().decode(tokens)

    async def generate(self, request: Request) -> list[Completion]:
        return await self._ready().generate(request)

    async def generate_telling(self, request: Request, heard: Heard) -> list[Completion]:
        """See `Tells`: as far as the engine tells anything."""
        built = self._ready()
        if isinstance(built, Tells):
            return await built.generate_telling(request, heard)
        return await built.generate(request)

    async def swap(self, version: int, folder: Path, files: dict[str, str]) -> Swap:
        async with self._building:
            if self._built is None:
                self._built = await asyncio.to_thread(self._build)
        return await self._built.swap(version, folder, files)

    async def close(self) -> None:
        if self._built is not None:
            await self._built.close()

    def _ready(self) -> Engine:
        if self._built is None:
            raise RuntimeError("the engine serves no weights yet: call swap first")
        return self._built
