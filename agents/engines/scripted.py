"""An engine whose answers follow a script: for tests and simulation, without a model. What it
says is a pure function of prompt, weights and seed. Knows no tensor library.
"""

import asyncio
import hashlib
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

from agents.engines.checkpoint.verified import read_verified
from agents.engines.engine import (
    Completion,
    Prompt,
    Request,
    Swap,
    check_drawing,
    messages_of,
)
from agents.engines.stopping import stopped
from bus.events import Span

PAD_ID, EOS_ID = 0, 1
CHARACTERS = "0123456789+-*=:abcdefghijklmnopqrstuvwxyz,;>PS#|"
"""What the ids from 2 on stand for in the seed model's alphabet; the other bytes of UTF-8 follow in
ascending order."""

_FIRST_ID = 2
_BYTES = bytes(dict.fromkeys([*CHARACTERS.encode(), *range(256)]))
_IDS = {byte: _FIRST_ID + place for place, byte in enumerate(_BYTES)}


class ScriptedEngine:
    """`Engine` that answers `script(prompt, version, random)`.

    `random` is seeded by the prompt, the digests of the weights, the request's seed (the
    engine's own if it has none) and the index of the sample; at temperature 0 by the prompt
    and the weights alone. Log-probabilities are those of a uniform alphabet.
    """

    def __init__(
        self,
        script: Callable[[str, int, Random], str],
        *,
        version: int = -1,
        seed: int = 0,
        latency_seconds: float = 0.0,
    ) -> None:
        self._script = script
        self._version = version
        self._digest = ""
        self._seed = seed
        self._latency_seconds = latency_seconds
        self._in_flight = 0
        self._swapping = asyncio.Lock()
        self._closed = asyncio.Event()

    @property
    def version(self) -> int:
        return self._version

    def encode(self, prompt: Prompt) -> tuple[int, ...]:
        text = "".join(message.text for message in messages_of(prompt))
        return tuple(_IDS[byte] for byte in text.encode("utf-8", "replace"))

    def decode(self, tokens: Sequence[int]) -> str:
        """The text without special tokens; ids beyond the alphabet are visible."""
        written = (_written(token) for token in tokens if token not in (PAD_ID, EOS_ID))
        return b"".join(written).decode("utf-8", "replace")

    async def generate(self, request: Request) -> list[Completion]:
        """See `Engine`. All samples are of the version served when the request came."""
        if self._closed.is_set():
            raise RuntimeError("the engine was closed")
        if self._version < 0:
            raise RuntimeError("the engine serves no weights yet: call swap first")
        if not request.prompt_tokens:
            raise ValueError("a request needs at least one prompt token")
        if request.n < 1 or request.max_tokens < 1:
            raise ValueError("a request needs n >= 1 and max_tokens >= 1")
        check_drawing(request)
        made = [self._complete(request, index) for index in range(request.n)]
        completions = [stopped(each, request.stop, self.decode) for each in made]
        self._in_flight += request.n
        try:
            await self._wait()
        finally:
            self._in_flight -= request.n
        return completions

    async def swap(self, version: int, folder: Path, files: dict[str, str]) -> Swap:
        """See `Engine`. Digests are checked, the files' contents do not matter."""
        async with self._swapping:
            before = self._version
            if version > before:
                await asyncio.to_thread(read_verified, folder, files)
                self._version = version
                self._digest = ",".join(f"{name}:{files[name]}" for name in sorted(files))
            return Swap(
                from_version=before,
                to_version=self._version,
                load_ms=0.0,
                pause_ms=0.0,
                in_flight=self._in_flight,
            )

    async def close(self) -> None:
        self._closed.set()

    async def _wait(self) -> None:
        if not self._latency_seconds:
            await asyncio.sleep(0)
            return
        try:
            await asyncio.wait_for(self._closed.wait(), self._latency_seconds)
        except TimeoutError:
            return
        raise RuntimeError("the engine was closed")

    def _complete(self, request: Request, index: int) -> Completion:
        prompt = self.decode(request.prompt_tokens)
        parts = [self._digest or str(self._version), prompt]
        if request.temperature:
            seed = self._seed if request.seed is None else request.seed
            parts += [str(seed), str(index)]
        random = Random(hashlib.sha256("\x1f".join(parts).encode()).digest())
        whole = (*self.encode(self._script(prompt, self._version, random)), EOS_ID)
        tokens = whole[: request.max_tokens]
        return Completion(
            tokens=tokens,
            logprobs=(-math.log(len(CHARACTERS) + 1),) * len(tokens),
            finish_reason="stop" if len(tokens) == len(whole) else "length",
            spans=(Span(version=self._version, start=0, end=len(tokens)),),
        )


def _written(token: int) -> bytes:
    place = token - _FIRST_ID
    return _BYTES[place : place + 1] or f"<spare{token}>".encode()
