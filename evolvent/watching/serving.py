"""The dashboard behind a port, until it is told to stop."""

import re
import secrets
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

from evolvent.errors import UsageError
from evolvent.watching.listener import is_loopback
from observability.dashboard.source import Source

if TYPE_CHECKING:
    from uvicorn import Server

TOKEN_VARIABLE = "EVOLVENT_DASHBOARD_TOKEN"
_NEEDED = ("starlette", "uvicorn", "sse_starlette")
STOP_SECONDS = 3


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


async def serve(
    sources: Sequence[Source], listener: socket.socket, token: str, *, control: bool
) -> None:
    """Until SIGTERM or Ctrl-C."""
    await server_of(sources, token, control=control).serve([listener])


def server_of(
    sources: Sequence[Source], token: str, *, control: bool = False, beside: bool = False
) -> "Server":
    """A server over these runs, which listens to nothing yet; `beside` something else in its
    process it leaves signals alone."""
    import uvicorn

    from observability.dashboard.app import dashboard

    config = uvicorn.Config(
        dashboard(sources, token, control=control),
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=STOP_SECONDS,
    )

    class Beside(uvicorn.Server):
        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    return Beside(config) if beside else uvicorn.Server(config)
