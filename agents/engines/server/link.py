"""One server as an agent sees it: connected again whenever it is lost. Knows no other server.

generate -> outbox --whatever came meanwhile in one message--> server
server   -> state: alive, version        answers: whoever waits for them
"""

import asyncio
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import aiohttp
from opentelemetry import propagate
from pydantic import ValidationError

from agents.engines.engine import Completion, Request, Swap, Unservable
from agents.engines.server.wire import (
    PROMPTING_PATH,
    PROTOCOL,
    SOCKET_PATH,
    TOKEN_VARIABLE,
    Answer,
    Ask,
    Asked,
    PromptingFiles,
    Say,
    State,
)

_HEARTBEAT_SECONDS = 5.0
_CONNECT_SECONDS = 5.0
_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 2.0
_MESSAGE_TOKENS = 1 << 20


class Lost(Exception):
    """The server did not answer this request: it is gone, stops or is too far behind."""


class Unfit(Exception):
    """What answers at the address is not a server for this agent; waiting would not help."""


class Link(Protocol):
    """A connection to one server that keeps itself alive while `run` runs."""

    @property
    def url(self) -> str: ...
    @property
    def version(self) -> int:
        """What the server serves; -1 while it is out of reach or serves nothing."""
        ...

    @property
    def digest(self) -> str:
        """Stands for the files of `version`; empty if the server does not say."""
        ...

    @property
    def in_flight(self) -> int: ...
    @property
    def fault(self) -> str:
        """Why the server cannot be used although it answers; empty if it can."""
        ...

    @property
    def refused(self) -> tuple[int, str]:
        """The last version that the server could not serve, and why."""
        ...

    @property
    def swap(self) -> Swap | None:
        """The server's last swap, as it told it."""
        ...

    async def run(self, changed: Callable[[], None]) -> None:
        """Stay connected for ever; `changed` hears of every news."""
        ...

    async def want(self, version: int, folder: Path, digests: dict[str, str]) -> None:
        """Every server is to serve this version from now on. Raises `SwapRefused`."""
        ...

    async def generate(self, name: str, request: Request, at_least: int) -> list[Completion]:
        """Raises `Lost`, or `ValueError` for a request that no server would serve."""
        ...

    async def prompting(self) -> Mapping[str, str]:
        """The files that say how to prompt what is served. Raises `Lost`."""
        ...


class ServerLink:
    """`Link` to an `evolvent serve`, which follows `weights` itself and may ask for a `token`."""

    def __init__(self, url: str, token: str = "") -> None:
        self.url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.fault = ""
        self.in_flight = 0
        self._state: State | None = None
        self._session: Any = None
        self._waiting: dict[str, asyncio.Future[Answer]] = {}
        self._requests: list[Asked] = []
        self._cancelled: list[str] = []
        self._filled = asyncio.Event()

    @property
    def version(self) -> int:
        return -1 if self._state is None or self._state.draining else self._state.version

    @property
    def refused(self) -> tuple[int, str]:
        return (-1, "") if self._state is None else (self._state.refused, self._state.reason)

    @property
    def swap(self) -> Swap | None:
        return None if self._state is None else self._state.swap

    @property
    def digest(self) -> str:
        return "" if self._state is None else self._state.digest

    async def want(self, version: int, folder: Path, digests: dict[str, str]) -> None:
        """Nothing to do: the server hears of every version before its agents do."""

    async def run(self, changed: Callable[[], None]) -> None:
        pause = _FIRST_PAUSE_SECONDS
        timeout = aiohttp.ClientTimeout(total=60)
        async with aiohttp.ClientSession(timeout=timeout, headers=self._headers) as session:
            self._session = session
            while True:
                try:
                    await self._connected(changed)
                    pause = _FIRST_PAUSE_SECONDS
                except Unfit as error:
                    self.fault = str(error)
                except (aiohttp.ClientError, OSError, TimeoutError):
                    self.fault = ""
                finally:
                    self._disconnected()
                changed()
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    async def _connected(self, changed: Callable[[], None]) -> None:
        """One connection, from the greeting to its end."""
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                channel = await self._session.ws_connect(
                    self.url + SOCKET_PATH,
                    protocols=(PROTOCOL,),
                    heartbeat=_HEARTBEAT_SECONDS,
                    max_msg_size=0,
                    timeout=aiohttp.ClientWSTimeout(ws_close=1.0),
                )
        except aiohttp.WSServerHandshakeError as error:
            if error.status >= 500:
                raise
            if error.status == 401:
                raise Unfit(
                    f"{self.url} needs its token: set {TOKEN_VARIABLE} to what the server was "
                    "started with"
                ) from None
            raise Unfit(await self._what_answers(error.status)) from None
        async with channel:
            if channel.protocol != PROTOCOL:
                raise Unfit(
                    f"{self.url} is a server of another version of evolvent: install the same "
                    "version here and there"
                )
            self.fault = ""
            try:
                async with asyncio.TaskGroup() as group:
                    sending = group.create_task(self._send(channel))
                    await self._receive(channel, changed)
                    sending.cancel()
            except BaseExceptionGroup as errors:
                raise errors.exceptions[0] from None

    async def _what_answers(self, status: int) -> str:
        advice = "start one with `evolvent serve RUN`"
        async with self._session.get(self.url + "/version") as answer:
            if answer.status == 200 and "version" in await answer.text():
                advice += ", or say engine.control=vllm to use vLLM's own server"
        return f"{self.url} is no server of evolvent (it answers {status}): {advice}"

    async def _receive(self, channel: Any, changed: Callable[[], None]) -> None:
        async for message in channel:
            if message.type != aiohttp.WSMsgType.TEXT:
                return
            try:
                said = Say.model_validate_json(message.data)
            except ValidationError:
                raise Unfit(f"{self.url} speaks, but not as a server of evolvent does") from None
            for answer in said.answers:
                future = self._waiting.pop(answer.id, None)
                if future is not None and not future.done():
                    future.set_result(answer)
            if said.state is not None:
                self._state = said.state
                changed()

    async def _send(self, channel: Any) -> None:
        while True:
            await self._filled.wait()
            self._filled.clear()
            requests, self._requests = self._requests, []
            cancelled, self._cancelled = self._cancelled, []
            for some in _cut(requests):
                await channel.send_str(Ask(requests=some).model_dump_json())
            if cancelled:
                await channel.send_str(Ask(cancel=tuple(cancelled)).model_dump_json())

    def _disconnected(self) -> None:
        self._state = None
        waiting, self._waiting = self._waiting, {}
        self._requests, self._cancelled = [], []
        for future in waiting.values():
            if not future.done():
                future.set_exception(Lost(f"{self.url} is out of reach"))

    async def generate(self, name: str, request: Request, at_least: int) -> list[Completion]:
        if self._state is None:
            raise Lost(f"{self.url} is out of reach")
        trace: dict[str, str] = {}
        propagate.inject(trace)
        # The server answers an id once per connection; a request may come again on the same one.
        attempt = f"{name}.{uuid.uuid4().hex[:8]}"
        self._requests.append(Asked(id=attempt, request=request, at_least=at_least, trace=trace))
        future = asyncio.get_running_loop().create_future()
        self._waiting[attempt] = future
        self._filled.set()
        self.in_flight += request.n
        try:
            answer: Answer = await future
        except asyncio.CancelledError:
            if self._waiting.pop(attempt, None) is not None:
                self._cancelled.append(attempt)
                self._filled.set()
            raise
        finally:
            self.in_flight -= request.n
        if answer.kind == "wrong":
            raise Unservable(answer.error)
        if answer.kind == "again":
            raise Lost(f"{self.url}: {answer.error or 'it stops, or serves an older version'}")
        return list(answer.completions)

    async def prompting(self) -> Mapping[str, str]:
        try:
            async with self._session.get(self.url + PROMPTING_PATH) as answer:
                if answer.status == 200:
                    return PromptingFiles.model_validate_json(await answer.read()).texts
        except (aiohttp.ClientError, OSError, TimeoutError, ValidationError) as error:
            raise Lost(f"{self.url}: {error}") from None
        raise Lost(f"{self.url} serves nothing yet")


def _cut(requests: Sequence[Asked]) -> Iterator[tuple[Asked, ...]]:
    """Messages that no server finds too long."""
    some: list[Asked] = []
    num_tokens = 0
    for asked in requests:
        length = len(asked.request.prompt_tokens)
        if some and num_tokens + length > _MESSAGE_TOKENS:
            yield tuple(some)
            some, num_tokens = [], 0
        some.append(asked)
        num_tokens += length
    if some:
        yield tuple(some)
