"""OpenAI's API over engines: `/v1/models`, `/v1/completions`, `/v1/chat/completions`.

body -> Asked -> Speaker -> Answering -> one answer, or parts of it as they come
"""

import json
import uuid
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from functools import wraps
from typing import Any

from aiohttp import web

from agents.engines.engine import Engine
from agents.engines.openai.answering import Answering
from agents.engines.openai.asked import Asked, AskedChat, AskedCompletion, Wrong
from agents.engines.openai.said import Shape, error_body
from agents.engines.openai.speakers import Named, Speakers

PREFIX = "/v1/"
VERSION_HEADER = "evolvent-version"
TOKENS_OF_A_COMPLETION, TOKENS_OF_A_CHAT = 16, 256
"""How long an answer is at most where nobody says."""
MAX_BODY_BYTES = 8 << 20
_JSON = "application/json"

Handler = Callable[[Any, web.Request], Awaitable[web.StreamResponse]]


def refusal(wrong: Wrong) -> web.Response:
    """What a client is told that gets no answer."""
    headers = {"Retry-After": "1"} if wrong.status == 503 else {}
    return web.json_response(error_body(wrong), status=wrong.status, headers=headers)


def _refusing(handler: Handler) -> Handler:
    @wraps(handler)
    async def refuse(self: Any, request: web.Request) -> web.StreamResponse:
        try:
            return await handler(self, request)
        except Wrong as wrong:
            return refusal(wrong)

    return refuse


class OpenAi:
    """The routes. `plain` encodes a text as it is, through no chat template."""

    def __init__(self, speakers: Speakers, plain: Callable[[str], tuple[int, ...]]) -> None:
        self._speakers = speakers
        self._plain = plain

    def add_to(self, router: web.UrlDispatcher) -> None:
        router.add_get("/v1/models", self._models)
        router.add_get("/v1/models/{model}", self._model)
        router.add_post("/v1/completions", self._complete)
        router.add_post("/v1/chat/completions", self._chat)
        router.add_route("*", "/v1/{rest:.*}", self._nothing)

    @_refusing
    async def _models(self, _: web.Request) -> web.StreamResponse:
        names = await self._speakers.names()
        return web.json_response({"object": "list", "data": [_described(name) for name in names]})

    @_refusing
    async def _model(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(
            _described(await self._speakers.named(request.match_info["model"]))
        )

    @_refusing
    async def _nothing(self, request: web.Request) -> web.StreamResponse:
        raise Wrong(f"there is no {request.method} {request.path[:80]} here", status=404)

    @_refusing
    async def _complete(self, request: web.Request) -> web.StreamResponse:
        asked = AskedCompletion.read(await _body(request))

        def encoded(_: Engine) -> list[tuple[int, ...]]:
            return [self._plain(each) if isinstance(each, str) else each for each in asked.prompt]

        room = asked.num_tokens or TOKENS_OF_A_COMPLETION
        return await self._answer(request, asked, encoded, room)

    @_refusing
    async def _chat(self, request: web.Request) -> web.StreamResponse:
        asked = AskedChat.read(await _body(request))

        def encoded(engine: Engine) -> list[tuple[int, ...]]:
            try:
                return [engine.encode(asked.conversation)]
            except Exception as error:  # whatever the model's chat template raises
                raise Wrong(f"the model's chat template refuses it: {error}", "messages") from None

        room = asked.num_tokens or TOKENS_OF_A_CHAT
        return await self._answer(request, asked, encoded, room)

    async def _answer(
        self,
        request: web.Request,
        asked: Asked,
        encoded: Callable[[Engine], Sequence[tuple[int, ...]]],
        room: int,
    ) -> web.StreamResponse:
        chat = isinstance(asked, AskedChat)
        shape = Shape(
            chat=chat,
            id=f"{'chatcmpl' if chat else 'cmpl'}-{uuid.uuid4().hex}",
            created=int(datetime.now(UTC).timestamp()),
            logprobs=asked.wants_logprobs,
        )
        async with self._speakers.speaking(asked.model) as speaker:
            prompts = encoded(speaker.engine)
            answering = Answering(asked, speaker, prompts, room, shape)
            if asked.stream:
                return await _Stream(request).run(answering)
            whole = await answering.whole()
            versions = ",".join(map(str, sorted(answering.versions)))
            return web.json_response(whole, headers={VERSION_HEADER: versions})


class _Stream:
    """Server-sent events, from the first part on; what goes wrong before it is a plain refusal."""

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self._response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        )

    async def run(self, answering: Answering) -> web.StreamResponse:
        try:
            await answering.stream(self._send)
        except Wrong as wrong:
            if not self._response.prepared:
                raise
            await self._send(error_body(wrong))
        else:
            await self._response.write(b"data: [DONE]\n\n")
        await self._response.write_eof()
        return self._response

    async def _send(self, part: dict[str, Any]) -> None:
        if not self._response.prepared:
            # The first part says which version speaks; every part names its own as `model`.
            self._response.headers[VERSION_HEADER] = str(part["model"]).lstrip("v")
            await self._response.prepare(self._request)
        await self._response.write(f"data: {json.dumps(part)}\n\n".encode())


async def _body(request: web.Request) -> bytes:
    # No page of a browser may send this type to another place unasked.
    if request.content_type != _JSON:
        raise Wrong(f"send the request as {_JSON}", status=415)
    try:
        body: bytes = await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise Wrong(f"a request has at most {MAX_BODY_BYTES} bytes here", status=413) from None
    return body


def _described(named: Named) -> dict[str, Any]:
    return {
        "id": named.name,
        "object": "model",
        "created": named.created,
        "owned_by": "evolvent",
        "version": named.version,
    }
