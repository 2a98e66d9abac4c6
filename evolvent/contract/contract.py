"""The contract of every kind of part, and how a part is held to it."""

from collections.abc import AsyncIterator
from importlib import import_module
from typing import Any

from agents.domains.kuhn import KuhnConfig
from evolvent.contract.ground import ground
from evolvent.contract.promise import Outcome, Promise, Subject, outcome_of
from evolvent.recipe.kinds import KINDS


def promises(kind: str) -> tuple[Promise, ...]:
    """What a part of `kind` promises; loads what it takes to try that."""
    assert kind in KINDS
    found: tuple[Promise, ...] = import_module(f"evolvent.contract.{kind}").PROMISES
    return found


async def tried(kind: str, config: Any) -> AsyncIterator[Outcome]:
    """Hold a part to every promise of its kind, each on ground of its own."""
    for promise in promises(kind):
        yield await held(promise, kind, config)


async def held(promise: Promise, kind: str, config: Any) -> Outcome:
    """Hold a part to one promise."""
    async with ground(*_domain_for(kind, config)) as parts:
        return await outcome_of(promise, Subject(config=config, parts=parts))


def _domain_for(kind: str, config: Any) -> tuple[Any, ...]:
    """A domain is tried on itself, what is about games on one of games, all else on the usual."""
    if kind == "domain":
        return (config,)
    return (KuhnConfig(),) if getattr(config, "of_games", False) else ()
