"""Who may ask: programs and pages of this machine under its own names, or whoever bears the token;
what a browser may do with the answers. Knows no route.
"""

import hmac
import ipaddress
import re
from collections.abc import Sequence
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "evolvent_token"

POLICY = (
    "default-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"
)
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_SAFE = ("GET", "HEAD")


class Guard:
    """Middleware. Without a `token` only names of this machine reach the page, so that no name that
    somebody else has pointed here does. With `control`, whoever bears the token may change things.
    A page of another origin is refused in any case."""

    def __init__(self, app: ASGIApp, token: str = "", control: bool = False) -> None:
        self._app, self._token, self._control = app, token, control and bool(token)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                if scope["path"].startswith("/api/"):
                    headers.setdefault("Cache-Control", "no-store")
            await send(message)

        refused = self._refusal(scope)
        answer = refused or self._entered(scope) or self._app
        await answer(scope, receive, sealed)

    def _refusal(self, scope: Scope) -> ASGIApp | None:
        headers, method = Headers(scope=scope), scope["method"]
        host = headers.get("host", "")
        if not self._token and not is_local(host):
            return _refused(403, "ask by a name of this machine, such as 127.0.0.1 or localhost")
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2] != host:
            return _refused(403, "a page of another origin may not ask here")
        if headers.get("sec-fetch-site") == "cross-site" and scope["path"].startswith("/api/"):
            return _refused(403, "a page of another site may not ask here")
        if self._token and not self._bears(scope, headers) and self._entered(scope) is None:
            return _refused(401, "this page needs its token: open the address that was printed")
        if method in _SAFE:
            return None
        if not self._control:
            return _refused(403, "this page only reads: start it with --control to change things")
        if headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            return _refused(415, "send JSON, as Content-Type: application/json")
        return None

    def _bears(self, scope: Scope, headers: Headers) -> bool:
        kind, _, said = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and self._is_token(said.strip()):
            return True
        try:
            cookies = SimpleCookie(headers.get("cookie", ""))
        except CookieError:
            return False
        found = cookies.get(_cookie(scope))
        return found is not None and self._is_token(found.value)

    def _entered(self, scope: Scope) -> ASGIApp | None:
        """Who opens an address with the token gets it as a cookie, and the address without it."""
        said = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        tokens = [value for name, value in said if name == "token"]
        if not self._token or scope["method"] != "GET" or not any(map(self._is_token, tokens)):
            return None
        answer = RedirectResponse(_without_token(scope["path"], said), status_code=303)
        answer.set_cookie(_cookie(scope), self._token, httponly=True, samesite="strict", path="/")
        return answer

    def _is_token(self, said: str) -> bool:
        return hmac.compare_digest(said.encode(), self._token.encode())


def is_local(host: str) -> bool:
    """Whether what a `Host` header says is a name of this machine."""
    if host.startswith("["):
        name, closed, port = host[1:].partition("]")
        if not closed or not re.fullmatch(r"(:\d*)?", port):
            return False
    else:
        name = host.partition(":")[0]
    name = name.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _refused(status: int, sentence: str) -> JSONResponse:
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    return JSONResponse({"error": sentence}, status_code=status, headers=headers)


def _cookie(scope: Scope) -> str:
    """Of one port: those of a machine share their cookies."""
    return f"{COOKIE}_{(scope.get('server') or ('', 0))[1]}"


def _without_token(path: str, said: Sequence[tuple[str, str]]) -> str:
    rest = urlencode([(name, value) for name, value in said if name != "token"])
    # Two slashes at the beginning would name another machine.
    return "/" + path.lstrip("/") + (f"?{rest}" if rest else "")
