"""Who may be named as `model`. Knows no log and no network."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from agents.engines.engine import Engine
from agents.engines.openai.asked import Wrong


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A name that clients may give. `version` is what speaks under it now, -1 if nothing does."""

    name: str
    version: int
    created: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaker:
    """An engine to ask. `version` is the only one that may answer; None leaves it to the engine."""

    engine: Engine
    version: int | None = None


class Speakers(Protocol):
    async def names(self) -> list[Named]:
        """The names that are worth showing; others may be known too."""
        ...

    async def named(self, model: str) -> Named:
        """Raises `Wrong` for a name that nothing stands for."""
        ...

    def speaking(self, model: str) -> AbstractAsyncContextManager[Speaker]:
        """Raises `Wrong` for a name that nothing stands for, or that cannot speak now."""
        ...


def unknown(why: str) -> Wrong:
    return Wrong(why, "model", status=404, code="model_not_found")


def not_now(why: str) -> Wrong:
    return Wrong(why, status=503, code="not_ready", kind="server_error")
