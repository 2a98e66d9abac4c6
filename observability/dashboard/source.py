"""What the dashboard is given of a run: where its log is, and what stands in its folder alone.
Knows no route; whoever starts the dashboard implements it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from bus.bus import Bus


class Refused(Exception):
    """What was asked cannot be done: one sentence, for the one who asked."""


class Source(Protocol):
    """A run. `id` is its name in addresses, `path` its folder, `place` where its log lies, in
    words; `cache` is a folder for what may be deleted."""

    @property
    def id(self) -> str: ...
    @property
    def path(self) -> Path: ...
    @property
    def place(self) -> str: ...
    @property
    def cache(self) -> Path: ...

    def open(self) -> Bus:
        """Its log, for reading, of the run that is there now. Raises `BusError`."""
        ...

    def identity(self) -> object:
        """Equal as long as the same run and the same file of a log are there; None where a name is
        all that is known. Raises `BusError`."""
        ...

    @property
    def run(self) -> str:
        """What it is called in its events."""
        ...

    @property
    def roles(self) -> Sequence[str]:
        """The services of its recipe, in the order of the loop."""
        ...

    def deaths(self) -> Mapping[str, Mapping[str, Any]]:
        """The last death of every role that ever died: reason, at, times."""
        ...

    def size(self) -> int | None:
        """Bytes of its folder; None where it has none."""
        ...

    def labels(self) -> Mapping[str, Any]:
        """Its tags and its note."""
        ...

    def label(self, tags: Sequence[str] | None, note: str | None) -> None:
        """Change them. Raises `Refused`."""
        ...

    def pieces(self, tokens: Sequence[int]) -> list[str] | None:
        """The text of every token; None where its tokenizer is not here."""
        ...

    async def tell(
        self, command: str, role: str | None, settings: Sequence[str]
    ) -> Mapping[str, Any]:
        """Say it to its roles, as a `Control` event. Raises `Refused`."""
        ...
