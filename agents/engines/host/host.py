"""An engine that others may use: what it serves, who hears of changes, when it stops. Knows no
network. To the follower of its process it is an engine like any other.
"""

import asyncio
from collections.abc import Sequence
from importlib.metadata import version as installed
from pathlib import Path

from agents.engines.checkpoint.prompting import (
    PROMPTING,
    TOKENIZER,
    Prompting,
    prompting_texts,
    read_prompting,
)
from agents.engines.checkpoint.verified import read_verified
from agents.engines.engine import (
    Completion,
    Engine,
    Heard,
    Prompt,
    Request,
    Swap,
    SwapRefused,
    Tells,
)
from agents.engines.server.wire import State, digest_of


class Host:
    """`Engine` around another one. That a version is refused is also told to every agent.

    `failed` is set once the engine cannot go on: its process should end and be started again.
    """

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self._name = name
        self._changed = asyncio.Event()
        self._served = (-1, "")
        self._refused = (-1, "")
        self._swap: Swap | None = None
        self._draining = False
        self.in_flight = 0
        self.num_swaps = 0
        self.num_refused = 0
        self.texts: dict[str, str] = {}
        self._prompting: Prompting | None = None
        self.failed = asyncio.Event()

    @property
    def version(self) -> int:
        return self._engine.version if self.texts else -1

    @property
    def state(self) -> State:
        return State(
            version=self._served[0],
            digest=self._served[1],
            engine=self._name,
            evolvent=installed("evolvent"),
            draining=self._draining,
            refused=self._refused[0],
            reason=self._refused[1],
            in_flight=self.in_flight,
            swap=self._swap,
        )

    @property
    def draining(self) -> bool:
        """Whether nothing new is taken."""
        return self._draining

    @property
    def change(self) -> asyncio.Event:
        """Set when `state` says something new; take it before looking at `state`."""
        return self._changed

    def encode(self, prompt: Prompt) -> tuple[int, ...]:
        return self._engine.encode(prompt)

    def decode(self, tokens: Sequence[int]) -> str:
        return self._engine.decode(tokens)

    def plain(self, text: str) -> tuple[int, ...]:
        """The tokens of a text as it is, through no chat template."""
        if self._prompting is None:
            raise RuntimeError("no weights are served yet")
        return self._prompting.plain(text)

    async def generate(self, request: Request) -> list[Completion]:
        return await self.generate_telling(request, None)

    async def generate_telling(self, request: Request, heard: Heard | None) -> list[Completion]:
        """See `Tells`: as far as the engine tells anything."""
        self.in_flight += request.n
        try:
            if heard is not None and isinstance(self._engine, Tells):
                return await self._engine.generate_telling(request, heard)
            return await self._engine.generate(request)
        except ValueError:
            raise
        except Exception as error:
            # Whatever it is, it is not the request's fault.
            self.failed.set()
            if isinstance(error, RuntimeError):
                raise
            raise RuntimeError(str(error) or type(error).__name__) from error
        finally:
            self.in_flight -= request.n
            if self._draining and not self.in_flight:
                self._tell()

    async def swap(self, version: int, folder: Path, files: dict[str, str]) -> Swap:
        """See `Engine`."""
        before = self.version
        try:
            # Prompts are made as for the first version for ever: engines see to that.
            texts = self.texts or await asyncio.to_thread(_read_texts, folder, files)
            prompting = self._prompting or await asyncio.to_thread(read_prompting, texts)
            swap = await self._engine.swap(version, folder, files)
        except SwapRefused as error:
            self._refused = (version, str(error))
            self.num_refused += 1
            self._tell()
            raise
        self.texts, self._prompting = texts, prompting
        if swap.to_version != before:
            self._served = (swap.to_version, digest_of(files))
            self._swap = swap
            self.num_swaps += 1
            self._tell()
        return swap

    async def drain(self, seconds: float) -> None:
        """Take nothing new; wait until what is in flight has ended, at most so long."""
        self._draining = True
        self._tell()
        try:
            async with asyncio.timeout(seconds):
                while self.in_flight:
                    await self._changed.wait()
        except TimeoutError:
            return

    async def close(self) -> None:
        await self._engine.close()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


def _read_texts(folder: Path, files: dict[str, str]) -> dict[str, str]:
    if TOKENIZER not in files:
        raise SwapRefused(f"the checkpoint {folder} does not list {TOKENIZER}")
    listed = {name: files[name] for name in PROMPTING if name in files}
    return prompting_texts(read_verified(folder, listed, PROMPTING))
