"""What both ways to run vLLM can do: the `VllmRuntime` protocol. Knows no version and no event."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

Prompt = Sequence[int]


class VllmRuntime(Protocol):
    """A running vLLM. `max_length` is the longest prompt with its answer."""

    max_length: int

    async def generate(
        self, name: str, prompt: Prompt, params: Any, trace: Mapping[str, str] | None = None
    ) -> Any:
        """vLLM's `RequestOutput` of one request, all samples."""
        ...

    async def abort(self, names: list[str]) -> None:
        """End requests now: their `generate` returns what has been made of them."""
        ...

    async def verify(self, folder: Path, files: Mapping[str, str]) -> str:
        """Check a checkpoint while generation goes on; why it is refused, empty if it is not."""
        ...

    async def swap(self, folder: Path, files: Mapping[str, str], label: str) -> float:
        """Load what was verified, clear the cache, label what follows; requests in flight go on.

        How many milliseconds generation stood still.
        """
        ...

    async def close(self) -> None: ...
