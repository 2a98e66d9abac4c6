"""`evolvent run --dashboard PORT`: the dashboard of a run in the process that watches over it."""

import asyncio
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from socket import socket

Outcome = TypeVar("Outcome")
Shown = Callable[[Path, Coroutine[Any, Any, Outcome]], Coroutine[Any, Any, Outcome]]
"""Does something with a run in a folder, and shows it meanwhile."""

_LOOK_SECONDS = 0.2


@contextmanager
def listening(port: int | None) -> "Iterator[Shown[Any]]":
    """The port is open from here on, where one is given. Raises `UsageError`."""
    if port is None:
        yield _hidden
        return
    from evolvent.watching.listener import bind, url_of
    from evolvent.watching.serving import check_extra

    check_extra()
    with bind("127.0.0.1", port, "--dashboard") as listener:
        print(f"evolvent: dashboard at {url_of(listener)}/", file=sys.stderr, flush=True)

        async def shown(run: Path, work: Coroutine[Any, Any, Outcome]) -> Outcome:
            serving = asyncio.create_task(_serve(run, listener))
            try:
                return await work
            finally:
                serving.cancel()
                with suppress(asyncio.CancelledError):
                    await serving

        yield shown


async def _hidden(run: Path, work: Coroutine[Any, Any, Outcome]) -> Outcome:
    return await work


async def _serve(run: Path, listener: "socket") -> None:
    """From when there is a run in the folder until this is cancelled. The run goes on in any case,
    and its process keeps its own signals."""
    from bus.errors import BusError
    from evolvent.errors import UsageError
    from evolvent.watching.serving import STOP_SECONDS, server_of
    from evolvent.watching.sources import sources

    while True:
        if (run / "recipe.json").exists():
            break
        await asyncio.sleep(_LOOK_SECONDS)
    try:
        server = await asyncio.to_thread(lambda: server_of(sources([run], None), "", beside=True))
    except (UsageError, BusError) as error:
        print(f"evolvent: there is no dashboard: {error}", file=sys.stderr, flush=True)
        return
    serving = asyncio.ensure_future(server.serve([listener]))
    try:
        await asyncio.shield(serving)
    finally:
        server.should_exit = True
        with suppress(TimeoutError):
            async with asyncio.timeout(2 * STOP_SECONDS):
                await serving
