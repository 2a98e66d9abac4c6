"""What a contract is made of: promises, each a function that tries one part. Knows no kind."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any

from agents.parts import Parts


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is held to a contract: a configuration, and the parts to build it with."""

    config: Any
    parts: Parts

    def build(self) -> Any:
        return self.config.build(self.parts)

    @property
    def type(self) -> str:
        return str(self.config.type)


Promise = Callable[[Subject], Awaitable[None] | None]
"""Its name says what is promised. Raises `Broken`, or whatever the part raises; raises
`DoesNotApply` where it says nothing of such a part."""


class Broken(AssertionError):
    """A promise is not kept: how, in one sentence."""


class DoesNotApply(Exception):
    """A promise says nothing of this part; why."""


def expect(holds: bool, otherwise: str) -> None:
    """Raises `Broken` with the sentence `otherwise`."""
    if not holds:
        raise Broken(otherwise)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one promise: `kept` None where it does not apply."""

    promise: str
    kept: bool | None
    why: str = ""


async def outcome_of(promise: Promise, subject: Subject) -> Outcome:
    """Try a promise. A bad part is told, never raised."""
    name = promise.__name__.replace("_", " ")
    try:
        tried = promise(subject)
        if isawaitable(tried):
            await tried
    except DoesNotApply as reason:
        return Outcome(promise=name, kept=None, why=str(reason))
    except Broken as broken:
        return Outcome(promise=name, kept=False, why=str(broken))
    except Exception as error:  # whatever the part raises
        return Outcome(promise=name, kept=False, why=f"{type(error).__name__}: {error}")
    return Outcome(promise=name, kept=True)
