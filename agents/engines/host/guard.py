"""Who may use a server: whoever knows its token; without one, programs of the same machine that ask
it by a name of that machine. Knows no route but `/health`.
"""

import hmac
import ipaddress
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from agents.engines.openai.asked import Wrong
from agents.engines.openai.routes import refusal

HEALTH_PATH = "/health"
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Guard:
    """Middleware. Without a `token` a page that has another name point to this machine reaches
    nothing: the `Host` that it sends is its own."""

    def __init__(self, token: str = "") -> None:
        self._token = token.encode()

    @property
    def middleware(self) -> Any:
        async def guard(request: web.Request, handler: _Handler) -> web.StreamResponse:
            return await self._pass(request, handler)

        return web.middleware(guard)

    async def _pass(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        if not self._token and not _is_local(request.host):
            return refusal(_STRANGE_HOST)
        if not self.knows(request) and request.path != HEALTH_PATH:
            refused = refusal(_NO_TOKEN)
            refused.headers["WWW-Authenticate"] = "Bearer"
            return refused
        return await handler(request)

    def knows(self, request: web.Request) -> bool:
        """Whether the request bears the token, or none is needed."""
        said = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
        kind, _, token = said.partition(b" ")
        right = hmac.compare_digest(token.strip(), self._token)
        return not self._token or (right and kind.lower() == b"bearer")


_NO_TOKEN = Wrong(
    "this server needs its token: send it as `Authorization: Bearer TOKEN`",
    status=401,
    code="invalid_api_key",
)
_STRANGE_HOST = Wrong(
    "ask this server by a name of its machine, such as 127.0.0.1 or localhost; other names need "
    "a token",
    status=403,
    code="strange_host",
)


def _is_local(host: str) -> bool:
    name = host[1:].partition("]")[0] if host.startswith("[") else host.rpartition(":")[0] or host
    if name.rstrip(".") == "localhost" or name.rstrip(".").endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
