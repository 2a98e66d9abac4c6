"""What clients may name: policies of the recipe, and versions by number. Knows no network.

current, previous, ...  -> the version that is due     v12, 12 -> version 12
the policy that is served -> its engine                another version -> the pool, if there is one
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Protocol

from agents.engines.engine import Engine, EngineUnusable, SwapRefused
from agents.engines.openai.speakers import Named, Speaker, not_now, unknown
from agents.policies.config import PolicyConfig
from agents.policies.pool import Pool
from bus.events import Weights
from bus.versions import Versions

_SHOWN_CHARACTERS = 80


class Serves(Engine, Protocol):
    """The engine that follows one policy, and whether it takes nothing new."""

    @property
    def draining(self) -> bool: ...


class Catalog:
    """`Speakers` of a run. `rules` are its policies, `served` the name of the one that `engine`
    follows; `find` gives the event of a version whose weights are there, or raises `LookupError`
    with a sentence. Without a `pool` nothing speaks but what is served."""

    def __init__(
        self,
        served: str,
        engine: Serves,
        rules: Mapping[str, PolicyConfig],
        versions: Versions,
        find: Callable[[int], Weights],
        pool: Pool | None,
    ) -> None:
        self._served = served
        self._engine = engine
        self._rules = rules
        self._versions = versions
        self._find = find
        self._pool = pool

    async def names(self) -> list[Named]:
        """The policies that speak here, and the versions that are loaded."""
        found = [await self._policy(name) for name in self._speaking_policies()]
        loaded = {self._engine.version, *(self._pool.versions if self._pool else ())}
        for number in sorted(loaded - {-1}):
            found.append(await self.named(f"v{number}"))
        return found

    async def named(self, model: str) -> Named:
        """Raises `Wrong` for a name that nothing stands for."""
        number = _number(model)
        if number is None:
            return await self._policy(model)
        weights = await self._weights(number)
        if self._pool is None and number != self._engine.version:
            raise unknown(self._one_version())
        return _named(model, weights)

    @asynccontextmanager
    async def speaking(self, model: str) -> AsyncIterator[Speaker]:
        """Raises `Wrong`."""
        if self._engine.draining:
            raise not_now("the server stops")
        if model == self._served:
            if self._engine.version < 0:
                raise not_now("no weights are served yet: they are being loaded")
            yield Speaker(engine=self._engine)
            return
        number = (await self.named(model)).version
        if number < 0:
            raise not_now(f"there is no version yet for the policy {model}")
        if self._pool is None:
            if number != self._engine.version:
                raise unknown(self._one_version())
            yield Speaker(engine=self._engine, version=number)
            return
        weights = await self._weights(number)
        async with self._loaded(self._pool, weights) as engine:
            yield Speaker(engine=engine, version=number)

    @asynccontextmanager
    async def _loaded(self, pool: Pool, weights: Weights) -> AsyncIterator[Engine]:
        loading = pool(weights)
        try:
            engine = await loading.__aenter__()
        except SwapRefused as error:
            raise unknown(f"version {weights.number} cannot be served: {error}") from None
        except EngineUnusable as error:
            raise not_now(str(error)) from None
        try:
            yield engine
        finally:
            await loading.__aexit__(None, None, None)

    def _speaking_policies(self) -> list[str]:
        return list(self._rules) if self._pool else [self._served]

    async def _policy(self, name: str) -> Named:
        if name not in self._rules:
            there = ", ".join(self._speaking_policies())
            raise unknown(
                f"there is no model {name[:_SHOWN_CHARACTERS]!r} here: name one of {there}, or a "
                "version such as v0"
            )
        if name == self._served:
            version = self._engine.version
            weights = await self._weights(version) if version >= 0 else None
        elif self._pool is None:
            raise unknown(self._one_version())
        else:
            weights = await asyncio.to_thread(self._rules[name].due, self._versions)
        return _named(name, weights)

    async def _weights(self, number: int) -> Weights:
        try:
            return await asyncio.to_thread(self._find, number)
        except LookupError as error:
            raise unknown(str(error.args[0])) from None

    def _one_version(self) -> str:
        return (
            f"this server's engine serves one version at a time, now v{self._engine.version}, as "
            f"the policy {self._served}: ask for that, or start another server with --policy"
        )


def _named(name: str, weights: Weights | None) -> Named:
    if weights is None:
        return Named(name=name, version=-1, created=0)
    created = int(weights.created_at.timestamp())
    return Named(name=name, version=weights.number, created=created)


def _number(model: str) -> int | None:
    """The version that a name says: v12, or 12."""
    found = re.fullmatch(r"v?(\d{1,9})", model, re.ASCII)
    return int(found[1]) if found else None
