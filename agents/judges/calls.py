"""Calls of a model behind OpenAI's API: made again while that may help, told in one sentence when
it does not. Knows no judge. aiohttp is loaded when something is first asked.

    POST url/chat/completions -> 200 with a text                    -> Call
                              -> lost, late, 408, 429, 5xx, garbage -> again, later and later
                              -> 400, 413, 422                      -> Rejected: not this prompt
                              -> any other                          -> EngineUnusable
"""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol

from agents.engines.engine import EngineUnusable
from bus.events import Call
from bus.runner import Rejected

_FIRST_PAUSE_SECONDS = 0.25
_LONGEST_PAUSE_SECONDS = 30.0
_LONGEST_REPLY = 8 * 1024 * 1024
_AGAIN = frozenset({408, 409, 425, 429})
_AT_FAULT = frozenset({400, 413, 422})
_QUOTED = 160

_log = logging.getLogger(__name__)


class Ask(Protocol):
    async def __call__(self, prompt: str, *, temperature: float, max_tokens: int) -> Call: ...


class _Failed(Exception):
    """A call that may succeed another time; `after_seconds` is when the server says so."""

    def __init__(self, why: str, after_seconds: float = 0.0) -> None:
        super().__init__(why)
        self.after_seconds = after_seconds


class Endpoint:
    """The model `model` at `url`. Raises `EngineUnusable` where its key or the extra is missing."""

    def __init__(
        self,
        url: str,
        model: str,
        *,
        key_variable: str = "",
        key: str = "",
        timeout_seconds: float,
        patience_seconds: float,
        at_once: int,
    ) -> None:
        if key_variable and not key:
            raise EngineUnusable(
                f"the key of the judge at {url} is not in the environment: set {key_variable}"
            )
        try:
            import aiohttp
        except ModuleNotFoundError as error:
            raise EngineUnusable(
                f"judge.type = endpoint needs the extra `server` ({error}): install it with "
                "`uv sync --extra server`"
            ) from None
        self._http = aiohttp
        self._url, self._model, self._key_variable = url, model, key_variable
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._timeout_seconds = timeout_seconds
        self._patience_seconds = patience_seconds
        self._free = asyncio.Semaphore(at_once)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Ask]:
        """For a few calls."""
        # How long a call may take is said of each.
        forever = self._http.ClientTimeout(total=None)
        async with self._http.ClientSession(headers=self._headers, timeout=forever) as session:

            async def ask(prompt: str, *, temperature: float, max_tokens: int) -> Call:
                body = {
                    "model": self._model,
                    "messages": [{"role": "user", "content": prompt}],
                    "temperature": temperature,
                    "max_tokens": max_tokens,
                }
                async with self._free:
                    return await self._patiently(session, body, prompt)

            yield ask

    async def _patiently(self, session: Any, body: dict[str, Any], prompt: str) -> Call:
        until = time.monotonic() + self._patience_seconds
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                return await self._once(session, body, prompt)
            except _Failed as failed:
                wait = max(pause, min(failed.after_seconds, _LONGEST_PAUSE_SECONDS))
                if time.monotonic() + wait > until:
                    raise EngineUnusable(
                        f"the judge at {self._url} does not answer ({failed}): start it, or name "
                        "another in judge.url"
                    ) from None
                _log.warning("the judge at %s: %s; again in %.1f s", self._url, failed, wait)
                await asyncio.sleep(wait)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    async def _once(self, session: Any, body: dict[str, Any], prompt: str) -> Call:
        try:
            async with (
                asyncio.timeout(self._timeout_seconds),
                session.post(f"{self._url}/chat/completions", json=body) as answer,
            ):
                status, after = answer.status, answer.headers.get("Retry-After", "")
                data = b""
                async for some in answer.content.iter_any():
                    data += some
                    if len(data) > _LONGEST_REPLY:
                        raise _Failed(f"over {_LONGEST_REPLY:,} bytes in one answer")
        except TimeoutError:
            raise _Failed(f"no answer within {self._timeout_seconds:g} s") from None
        except (self._http.ClientError, OSError) as error:
            raise _Failed(" ".join(str(error).split()) or type(error).__name__) from None
        if status == 200:
            return self._call(data, prompt)
        said = f"it answers {status}: {_quoted(data)}"
        if status in _AGAIN or status >= 500:
            raise _Failed(said, _seconds(after))
        if status in _AT_FAULT:
            raise Rejected(f"the judge at {self._url} refuses a prompt: {said}")
        raise EngineUnusable(f"the judge at {self._url} cannot be used: {self._mend(status)}{said}")

    def _call(self, data: bytes, prompt: str) -> Call:
        try:
            found = json.loads(data)
            text = found["choices"][0]["message"]["content"]
            if not isinstance(text, str | None):
                raise TypeError
        except (ValueError, LookupError, TypeError, RecursionError):
            raise _Failed(f"no answer of OpenAI's API: {_quoted(data)}") from None
        model = found.get("model")
        return Call(
            model=_clean(model) if isinstance(model, str) else self._model,
            asked=prompt,
            answer=_clean(text or ""),
        )

    def _mend(self, status: int) -> str:
        if status in (401, 403):
            if self._key_variable:
                return f"it refuses the key in {self._key_variable}; "
            return "it wants a key, whose variable judge.key_variable names; "
        if status == 404:
            return f"there is no model {self._model} there, or judge.url should end in /v1; "
        return ""


def _seconds(after: str) -> float:
    """Of a header Retry-After; a date there says nothing here."""
    try:
        return max(0.0, float(after))
    except ValueError:
        return 0.0


def _quoted(data: bytes) -> str:
    text = " ".join(data[: 4 * _QUOTED].decode("utf-8", "replace").split())
    return ascii(text[:_QUOTED])


def _clean(text: str) -> str:
    """Without halves of characters, which no log takes."""
    return text.encode("utf-8", "replace").decode()
