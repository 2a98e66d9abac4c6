"""What a server shows to the network: health, metrics, version, prompting, generation, OpenAI's API
where it is given, and nothing else. Swapping has no address here: only the follower in the process
can do it.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from socket import socket
from typing import Any

from aiohttp import WSMsgType, web
from opentelemetry import context, propagate
from pydantic import ValidationError

from agents.engines.host.guard import HEALTH_PATH, Guard
from agents.engines.host.host import Host
from agents.engines.host.metrics import CONTENT_TYPE, page
from agents.engines.openai.routes import MAX_BODY_BYTES, OpenAi
from agents.engines.server.wire import (
    MAX_MESSAGE_BYTES,
    MAX_SAMPLES,
    PROMPTING_PATH,
    PROTOCOL,
    SOCKET_PATH,
    STATE_PATH,
    Answer,
    Ask,
    Asked,
    PromptingFiles,
    Say,
)

HEARTBEAT_SECONDS = 5.0

_log = logging.getLogger(__name__)


class Front:
    """The routes of one server, for whom `guard` lets in."""

    def __init__(
        self, host: Host, guard: Guard | None = None, openai: OpenAi | None = None
    ) -> None:
        self._host = host
        self._guard = guard or Guard()
        self._openai = openai

    def application(self) -> web.Application:
        application = web.Application(
            middlewares=[self._guard.middleware], client_max_size=MAX_BODY_BYTES
        )
        if self._openai is not None:
            self._openai.add_to(application.router)
        application.router.add_get(HEALTH_PATH, self._health)
        application.router.add_get("/metrics", self._show_metrics)
        application.router.add_get(STATE_PATH, self._state)
        application.router.add_get(PROMPTING_PATH, self._prompting)
        application.router.add_get(SOCKET_PATH, self._converse)
        return application

    @asynccontextmanager
    async def listening(self, listener: socket) -> AsyncIterator[None]:
        """Answer on `listener` for as long as the context lasts."""
        # What nobody waits for any more is not drawn to its end.
        runner = web.AppRunner(
            self.application(), access_log=None, shutdown_timeout=1.0, handler_cancellation=True
        )
        await runner.setup()
        try:
            await web.SockSite(runner, listener).start()
            yield
        finally:
            await runner.cleanup()

    async def _health(self, request: web.Request) -> web.Response:
        """Open to all, so that whoever restarts a server needs no token; they learn no more."""
        state = self._host.state
        well = state.version >= 0 and not state.draining
        shown = state.model_dump_json() if self._guard.knows(request) else "{}"
        return web.json_response(text=shown, status=200 if well else 503)

    async def _show_metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=page(self._host), headers={"Content-Type": CONTENT_TYPE})

    async def _state(self, _: web.Request) -> web.Response:
        return web.json_response(text=self._host.state.model_dump_json())

    async def _prompting(self, _: web.Request) -> web.Response:
        if not self._host.texts:
            raise web.HTTPServiceUnavailable(text="no weights are served yet")
        return web.json_response(text=PromptingFiles(texts=self._host.texts).model_dump_json())

    async def _converse(self, request: web.Request) -> web.WebSocketResponse:
        # Browsers name the page that asks, agents do not: no page may use a server on loopback.
        if "Origin" in request.headers:
            raise web.HTTPForbidden(text="not for browsers")
        channel = web.WebSocketResponse(
            heartbeat=HEARTBEAT_SECONDS,
            protocols=(PROTOCOL,),
            max_msg_size=MAX_MESSAGE_BYTES,
            compress=False,
        )
        await channel.prepare(request)
        await Session(channel, self._host).run()
        return channel


class Session:
    """One agent: its requests run until they end, it cancels them, or it is gone."""

    def __init__(self, channel: Any, host: Host) -> None:
        self._channel = channel
        self._host = host
        self._answers: list[Answer] = []
        self._answered = asyncio.Event()
        self._running: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                speaking = [
                    group.create_task(self._tell_states()),
                    group.create_task(self._tell_answers()),
                ]
                await self._listen(group)
                for task in [*speaking, *self._running.values()]:
                    task.cancel()
        except* ConnectionError:
            _log.info("an agent is gone")

    async def _listen(self, group: asyncio.TaskGroup) -> None:
        async for message in self._channel:
            if message.type != WSMsgType.TEXT:
                return
            try:
                ask = Ask.model_validate_json(message.data)
            except ValidationError as error:
                first = error.errors()[0]
                place = ".".join(map(str, first["loc"]))
                await self._channel.close(code=1007, message=f"{place}: {first['msg']}".encode())
                return
            for asked in ask.requests:
                if asked.id not in self._running:
                    self._running[asked.id] = group.create_task(self._serve(asked))
            for cancelled in ask.cancel:
                if task := self._running.get(cancelled):
                    task.cancel()

    async def _serve(self, asked: Asked) -> None:
        try:
            answer = await self._answer(asked)
            self._answers.append(answer)
            self._answered.set()
        finally:
            del self._running[asked.id]

    async def _answer(self, asked: Asked) -> Answer:
        state = self._host.state
        if state.draining or self._host.version < asked.at_least:
            return Answer(id=asked.id, kind="again")
        if asked.request.n > MAX_SAMPLES:
            error = f"a request needs n <= {MAX_SAMPLES} here"
            return Answer(id=asked.id, kind="wrong", error=error)
        # A task has a context of its own: nothing to restore.
        context.attach(propagate.extract(asked.trace))
        try:
            completions = await self._host.generate(asked.request)
        except ValueError as error:
            return Answer(id=asked.id, kind="wrong", error=str(error))
        except RuntimeError as error:
            _log.warning("a request failed: %s", error)
            return Answer(id=asked.id, kind="again", error=str(error))
        return Answer(id=asked.id, kind="done", completions=tuple(completions))

    async def _tell_states(self) -> None:
        while True:
            change = self._host.change
            await self._channel.send_str(Say(state=self._host.state).model_dump_json())
            await change.wait()

    async def _tell_answers(self) -> None:
        while True:
            await self._answered.wait()
            self._answered.clear()
            answers, self._answers = self._answers, []
            await self._channel.send_str(Say(answers=tuple(answers)).model_dump_json())
