"""The dashboard behind a port, until it is told to stop."""

import asyncio
import contextlib
import re
import secrets
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.util import find_spec

from evolvent.errors import UsageError
from evolvent.watching.listener import is_loopback
from observability.dashboard.source import Source

TOKEN_VARIABLE = "EVOLVENT_DASHBOARD_TOKEN"
_NEEDED = ("starlette", "uvicorn", "sse_starlette")
_STOP_SECONDS = 3


def check_extra() -> None:
    """Raises `UsageError` without the extra that the dashboard needs."""
    if missing := [name for name in _NEEDED if find_spec(name) is None]:
        raise UsageError(
            f"the dashboard needs the extra `dashboard` (there is no {missing[0]}): install it "
            "with `uv sync --extra dashboard`"
        )


def token_for(host: str, token: str | None, *, control: bool) -> str:
    """The one that was given, or one made up where one is needed. Raises `UsageError`."""
    if token is not None and not re.fullmatch(r"[A-Za-z0-9._~-]{8,512}", token):
        raise UsageError("a token has 8 or more letters, digits, or `.`, `_`, `~`, `-`")
    if token is None and (control or not is_loopback(host)):
        return secrets.token_urlsafe(24)
    return token or ""


async def serve(sources: Sequence[Source], listener: socket.socket, token: str) -> None:
    """Until SIGTERM or Ctrl-C."""
    server = _server(sources, token)
    await server.serve([listener])


@asynccontextmanager
async def beside(
    sources: Sequence[Source], listener: socket.socket, token: str
) -> AsyncIterator[None]:
    """The same while the context lasts, in a process that does something else: its signals are not
    touched."""
    server = _server(sources, token)
    server.capture_signals = contextlib.nullcontext
    serving = asyncio.create_task(server.serve([listener]))
    try:
        yield
    finally:
        server.should_exit = True
        with contextlib.suppress(TimeoutError, Exception):
            async with asyncio.timeout(2 * _STOP_SECONDS):
                await serving


def _server(sources: Sequence[Source], token: str):  # type: ignore[no-untyped-def]
    import uvicorn

    from observability.dashboard.app import dashboard

    config = uvicorn.Config(
        dashboard(sources, token),
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_STOP_SECONDS,
    )
    return uvicorn.Server(config)
