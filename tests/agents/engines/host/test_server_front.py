"""What a server shows to the network, what it refuses, and what agents refuse as a server."""

import asyncio
import json
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from opentelemetry import trace

from agents.engines.engine import Completion, EngineUnusable, Request
from agents.engines.scripted import ScriptedEngine
from agents.engines.server.engine import ServerEngine
from agents.engines.server.vllm_link import VllmLink
from agents.engines.server.wire import MAX_SAMPLES, PROTOCOL, SOCKET_PATH
from tests.agents.engines.checkpoint.tiny_checkpoint import Checkpoint, request
from tests.agents.engines.serving import agent, listener, say_version, serving, swap


@pytest.mark.parametrize(
    ("protocols", "complaint"),
    [(None, "no server of evolvent .it answers 404"), (("evolvent.0",), "another version of evol")],
)
def test_a_stranger_is_refused_at_once(
    checkpoints: list[Checkpoint], protocols: tuple[str, ...] | None, complaint: str
) -> None:
    async def converse(asked: web.Request) -> web.WebSocketResponse:
        channel = web.WebSocketResponse(protocols=protocols or ())
        await channel.prepare(asked)
        await channel.receive()
        return channel

    async def scenario() -> None:
        application = web.Application()
        if protocols is not None:
            application.router.add_get(SOCKET_PATH, converse)
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        open_at = listener()
        await web.SockSite(runner, open_at).start()
        async with agent(f"http://127.0.0.1:{open_at.getsockname()[1]}") as engine:
            with pytest.raises(EngineUnusable, match=complaint):
                await asyncio.wait_for(swap(engine, 0, checkpoints[0]), 5)
        await runner.cleanup()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("version", "missing", "complaint"),
    [
        ("0.31.0", (), "is vLLM 0.31.0, this needs 0.32.0"),
        ("", (), "is no vLLM, this needs 0.32.0"),
        ("0.32.0+cpu", ("/weight_info",), "has no control endpoints: .*VLLM_SERVER_DEV_MODE=1"),
        ("0.32.0", ("/inference/v1/generate",), "takes no token ids: .*--enable-scale-out"),
        ("0.32.0", ("/collective_rpc",), "cannot check a checkpoint .*--worker-extension-cls"),
    ],
)
def test_a_vllm_that_cannot_be_swapped_is_refused(
    checkpoints: list[Checkpoint], version: str, missing: tuple[str, ...], complaint: str
) -> None:
    shown = {
        "/version": {"version": version},
        "/weight_info": {"weight_version": "default"},
        "/v1/models": {"data": [{"id": "model"}]},
        "/inference/v1/generate": {},
        "/collective_rpc": {"results": [""]},
    }

    async def answer(asked: web.Request) -> web.Response:
        if asked.path in missing or asked.path not in shown:
            raise web.HTTPNotFound
        return web.json_response(shown[asked.path])

    async def scenario() -> None:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", answer)
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        open_at = listener()
        await web.SockSite(runner, open_at).start()
        link = VllmLink(f"http://127.0.0.1:{open_at.getsockname()[1]}")
        engine = ServerEngine([link], patience_seconds=20)
        with pytest.raises(EngineUnusable, match=complaint):
            await asyncio.wait_for(swap(engine, 0, checkpoints[0]), 5)
        await engine.close()
        await runner.cleanup()

    asyncio.run(scenario())


class Traced(ScriptedEngine):
    """Remembers in which trace it was asked."""

    trace_id = 0

    async def generate(self, request: Request) -> list[Completion]:
        self.trace_id = trace.get_current_span().get_span_context().trace_id
        return await super().generate(request)


def test_a_request_stays_in_its_trace(checkpoints: list[Checkpoint]) -> None:
    async def scenario() -> None:
        hosted = Traced(say_version)
        async with serving(hosted) as server, agent(server.url) as engine:
            await server.swap(0, checkpoints[0])
            await swap(engine, 0, checkpoints[0])
            await engine.generate(request(engine))
            assert hosted.trace_id == 0
            span = trace.SpanContext(
                trace_id=0xABC, span_id=0xDEF, is_remote=False, trace_flags=trace.TraceFlags(1)
            )
            with trace.use_span(trace.NonRecordingSpan(span)):
                await engine.generate(request(engine))
            assert hosted.trace_id == 0xABC

    asyncio.run(scenario())


def test_the_front_shows_what_it_should_and_nothing_else(checkpoints: list[Checkpoint]) -> None:
    async def scenario() -> None:
        async with serving() as server, aiohttp.ClientSession(server.url) as outside:

            async def status(method: str, path: str, **more: Any) -> int:
                async with outside.request(method, path, **more) as answer:
                    return int(answer.status)

            assert await status("GET", "/health") == 503
            assert await status("GET", "/evolvent/tokenizer") == 503
            await server.swap(0, checkpoints[0])
            for path in ("/health", "/metrics", "/evolvent/version", "/evolvent/tokenizer"):
                assert await status("GET", path) == 200
            refused = ["pause", "resume", "update_weights", "collective_rpc", "sleep", "v1/models"]
            refused += ["evolvent/swap", "start_weight_update", "reset_prefix_cache", "docs", ""]
            for path in refused:
                assert await status("GET", f"/{path}") == 404
                assert await status("POST", f"/{path}", json={}) == 404
            assert await status("POST", "/health") == 405
            assert await status("GET", SOCKET_PATH, headers={"Origin": "http://evil.test"}) == 403
            state = await (await outside.get("/evolvent/version")).json()
            assert (state["version"], state["draining"]) == (0, False)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "wrong",
    [
        "not json",
        "[]",
        '{"requests": [{"id": "a"}]}',
        '{"requests": [{"id": "", "request": {"prompt_tokens": [1], "max_tokens": 1}}]}',
        '{"requests": [{"id": "a", "request": {"prompt_tokens": "abc", "max_tokens": 1}}]}',
        '{"requests": [{"id": "a", "request": {"prompt_tokens": [1], "max_tokens": 1e9999}}]}',
    ],
)
def test_a_malformed_message_ends_its_connection_only(
    checkpoints: list[Checkpoint], wrong: str
) -> None:
    async def scenario() -> None:
        async with serving() as server, agent(server.url) as engine:
            await server.swap(0, checkpoints[0])
            await swap(engine, 0, checkpoints[0])
            async with aiohttp.ClientSession() as session:
                channel = await session.ws_connect(server.url + SOCKET_PATH, protocols=(PROTOCOL,))
                greeting = json.loads((await channel.receive()).data)
                assert greeting["state"]["version"] == 0
                await channel.send_str(wrong)
                end = await channel.receive(timeout=5)
                assert (end.type, end.data) == (aiohttp.WSMsgType.CLOSE, 1007)
                await channel.close()
            assert len(await engine.generate(request(engine))) == 1

    asyncio.run(scenario())


def test_too_many_samples_are_refused(checkpoints: list[Checkpoint]) -> None:
    async def scenario() -> None:
        async with serving() as server, agent(server.url) as engine:
            await server.swap(0, checkpoints[0])
            await swap(engine, 0, checkpoints[0])
            with pytest.raises(ValueError, match="n <= "):
                await engine.generate(Request(prompt_tokens=(5,), n=MAX_SAMPLES + 1, max_tokens=1))

    asyncio.run(scenario())
