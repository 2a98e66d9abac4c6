"""`evolvent serve`: one policy of a run behind HTTP, at the version that is due for ever.

weights -> PolicyFollower -> Host(engine) <- Front <- agents anywhere
                   Catalog(+ Pool of versions) <- OpenAi <- people and programs
"""

import asyncio
import math
import re
import socket
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

from agents.engines.config import EngineConfig, VllmConfig
from agents.engines.engine import EngineUnusable, Swap, SwapRefused
from agents.engines.server.wire import TOKEN_VARIABLE
from agents.policies.catalog import Catalog
from agents.policies.config import PolicyConfig
from agents.policies.follower import PolicyFollower
from agents.policies.pool import Pool
from bus.events import Weights
from bus.log import Log
from bus.versions import Versions
from evolvent.ask.ask import find_whole
from evolvent.errors import UsageError
from evolvent.process import until_told
from evolvent.recipe.load import changed_recipe
from evolvent.recipe.recipe import Recipe
from evolvent.run.folder import RunFolder
from evolvent.run.servers import noted
from evolvent.watching.listener import is_loopback, url_of

if TYPE_CHECKING:
    from agents.engines.host.host import Host
    from agents.engines.openai.routes import OpenAi

DRAIN_SECONDS = 30.0
Say = Callable[[str], None]


def hosted(recipe: Recipe, policy: PolicyConfig, settings: list[str]) -> EngineConfig:
    """The engine to host: the policy's, or vLLM where the policy's agents ask servers."""
    own = recipe.engine_of(policy)
    own = VllmConfig() if own.servers else own
    engine = changed_recipe(recipe.model_copy(update={"engine": own}), settings).engine
    if engine.servers:
        raise UsageError("a server cannot host engine.type = server: choose vllm or local")
    return engine


def check_token(host: str, token: str | None) -> None:
    """Raises `UsageError` for an address that must not be open to all, before it is."""
    if token is not None and not re.fullmatch(r"[!-~]{1,4096}", token):
        raise UsageError("a token is one or more visible characters without spaces")
    if not token and not is_loopback(host):
        raise UsageError(
            f"whoever reaches {host} could use the model: give --token or set {TOKEN_VARIABLE}, "
            "or listen at 127.0.0.1"
        )


async def serve(
    folder: RunFolder,
    policy: str,
    engine: EngineConfig,
    listener: socket.socket,
    token: str,
    say: Say,
) -> None:
    """Serve until SIGTERM or Ctrl-C, then finish what is in flight. Raises `UsageError`."""
    if find_spec("aiohttp") is None:
        raise UsageError("`evolvent serve` needs the extra `server`: `uv sync --extra server`")
    rule = folder.recipe().policy(policy)
    say(
        f"{url_of(listener)} will serve {folder.path} with engine.type = {engine.type}, "
        f"follow = {rule.follow}"
    )
    with until_told(asyncio.Event()) as stop:
        try:
            # Written to only when a version is refused.
            async with (
                folder.log(writable=True) as bus,
                _host(folder, policy, engine, bus.log, listener, token) as host,
            ):
                follower = PolicyFollower(
                    bus,
                    host,
                    folder.path,
                    lambda swap: say(_said(swap)),
                    rule=rule,
                    # What agents do about a version that is refused is theirs to decide.
                    patience_seconds=math.inf,
                )
                await _follow(follower, stop, host.failed)
                if host.failed.is_set():
                    raise RuntimeError("the engine failed: start the server again")
                say("stopping: finishing what is in flight")
                await host.drain(DRAIN_SECONDS)
        except (EngineUnusable, SwapRefused) as error:
            raise UsageError(str(error)) from None


@asynccontextmanager
async def _host(
    folder: RunFolder,
    policy: str,
    engine: EngineConfig,
    log: Log,
    listener: socket.socket,
    token: str,
) -> "AsyncIterator[Host]":
    from agents.engines.host.deferred import Deferred
    from agents.engines.host.front import Front
    from agents.engines.host.guard import Guard
    from agents.engines.host.host import Host

    seed = folder.recipe().seed
    with ThreadPoolExecutor(1, thread_name_prefix="compute") as executor:
        if isinstance(engine, VllmConfig):
            engine = engine.model_copy(update={"metrics": True})
        build = partial(engine.build, executor, seed)
        host = Host(Deferred(build), engine.type)
        # One vLLM takes the memory that is there; of the other engines there may be several.
        pool = None if isinstance(engine, VllmConfig) else Pool(build, folder.path)
        openai = _openai(folder, policy, host, log, pool)
        async with Front(host, Guard(token), openai).listening(listener):
            with noted(folder.path, url_of(listener), policy):
                yield host
            await host.close()
            if pool is not None:
                await pool.close()


def _openai(folder: RunFolder, policy: str, host: "Host", log: Log, pool: Pool | None) -> "OpenAi":
    from agents.engines.openai.routes import OpenAi

    rules = folder.recipe().all_policies

    def find(number: int) -> Weights:
        try:
            return find_whole(folder, log, number)
        except UsageError as error:
            raise LookupError(str(error)) from None

    catalog = Catalog(policy, host, rules, Versions(log), find, pool)
    return OpenAi(catalog, host.plain)


async def _follow(follower: PolicyFollower, *ends: asyncio.Event) -> None:
    """Follow until one of `ends` is set; what the follower raises is raised."""
    following = asyncio.ensure_future(follower.run())
    tasks = {following, *(asyncio.ensure_future(end.wait()) for end in ends)}
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if following.done():
            await following
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def _said(swap: Swap) -> str:
    return (
        f"version {swap.to_version} is served (before: {swap.from_version}; checked in "
        f"{swap.load_ms:.0f} ms, paused {swap.pause_ms:.0f} ms, {swap.in_flight} in flight)"
    )
