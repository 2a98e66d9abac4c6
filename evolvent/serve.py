"""`evolvent serve`: one policy of a run behind HTTP, at the version that is due for ever.

weights -> PolicyFollower -> Host(engine) <- Front <- agents anywhere
"""

import asyncio
import errno
import ipaddress
import math
import socket
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

from agents.engines.config import EngineConfig, VllmConfig
from agents.engines.engine import EngineUnusable, Swap, SwapRefused
from agents.policies.config import PolicyConfig
from agents.policies.follower import PolicyFollower
from evolvent.errors import UsageError
from evolvent.process import until_told
from evolvent.recipe.load import changed_recipe
from evolvent.recipe.recipe import Recipe
from evolvent.run.folder import RunFolder

if TYPE_CHECKING:
    from agents.engines.host.host import Host

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


def bind(name: str, port: int) -> socket.socket:
    """An open port, before anything that takes long. Raises `UsageError`."""
    try:
        family = socket.AF_INET6 if ":" in name else socket.AF_INET
        listener = socket.create_server((name, port), family=family, backlog=1024)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UsageError(
                f"port {port} of {name} is in use: choose another, for example --port {port + 1}"
            ) from None
        raise UsageError(
            f"cannot listen at {name}, port {port} ({error.strerror}): name an address of this "
            "machine with --host"
        ) from None
    listener.setblocking(False)
    return listener


async def serve(
    folder: RunFolder,
    policy: PolicyConfig,
    engine: EngineConfig,
    listener: socket.socket,
    say: Say,
) -> None:
    """Serve until SIGTERM or Ctrl-C, then finish what is in flight. Raises `UsageError`."""
    if find_spec("aiohttp") is None:
        raise UsageError("`evolvent serve` needs the extra `server`: `uv sync --extra server`")
    say(
        f"{_url(listener)} will serve {folder.path} with engine.type = {engine.type}, "
        f"follow = {policy.follow}"
    )
    if not ipaddress.ip_address(listener.getsockname()[0]).is_loopback:
        say("not bound to loopback: whoever reaches this port can use the model")
    with until_told(asyncio.Event()) as stop:
        try:
            # Written to only when a version is refused.
            async with folder.log(writable=True) as bus, _host(folder, engine, listener) as host:
                follower = PolicyFollower(
                    bus,
                    host,
                    folder.path,
                    lambda swap: say(_said(swap)),
                    rule=policy,
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
    folder: RunFolder, engine: EngineConfig, listener: socket.socket
) -> "AsyncIterator[Host]":
    from agents.engines.host.front import Front
    from agents.engines.host.host import Host

    with ThreadPoolExecutor(1, thread_name_prefix="compute") as executor:
        if isinstance(engine, VllmConfig):
            engine = engine.model_copy(update={"metrics": True})
        built = await asyncio.to_thread(engine.build, executor, folder.recipe().seed)
        host = Host(built, engine.type)
        async with Front(host).listening(listener):
            yield host
            await host.close()


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


def _url(listener: socket.socket) -> str:
    name, port = listener.getsockname()[:2]
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


def _said(swap: Swap) -> str:
    return (
        f"version {swap.to_version} is served (before: {swap.from_version}; checked in "
        f"{swap.load_ms:.0f} ms, paused {swap.pause_ms:.0f} ms, {swap.in_flight} in flight)"
    )
