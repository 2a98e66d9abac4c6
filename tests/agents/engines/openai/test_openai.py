"""OpenAI's API as its own client uses it: over an engine without a model, `local` and vLLM."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import openai
import pytest

from agents.engines.engine import Message, Request
from tests.agents.engines.checkpoint.tiny_checkpoint import (
    Checkpoint,
    reference_logprobs,
    save_checkpoint,
)
from tests.agents.engines.openai.serving import Build, Serving, local, scripted, serving, vllm

PROMPT = "rabc>"
ENGINES = [scripted, local, pytest.param(vllm, marks=pytest.mark.vllm)]
Scenario = Callable[[Serving], Awaitable[None]]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="module")
def versions(run: Path) -> dict[int, Checkpoint]:
    return {number: save_checkpoint(run / f"v{number}", number) for number in range(5)}


@pytest.fixture(params=ENGINES)
def build(request: pytest.FixtureRequest) -> Build:
    made: Build = request.param
    return made


def held(
    build: Build, run: Path, versions: dict[int, Checkpoint], scenario: Scenario, token: str = ""
) -> None:
    async def whole() -> None:
        async with serving(build, run, versions, token=token) as server:
            await scenario(server)

    asyncio.run(whole())


def test_what_a_client_is_told_is_what_the_engine_drew(
    build: Build, run: Path, versions: dict[int, Checkpoint]
) -> None:
    async def scenario(server: Serving) -> None:
        said = await server.client.completions.create(
            model="current", prompt=PROMPT, max_tokens=9, n=3, seed=7, logprobs=0
        )
        tokens = server.host.plain(PROMPT)
        drawn = await server.host.generate(Request(prompt_tokens=tokens, n=3, max_tokens=9, seed=7))
        assert said.model == "v4"
        assert [choice.text for choice in said.choices] == [
            server.host.decode(each.tokens) for each in drawn
        ]
        for choice, each in zip(said.choices, drawn, strict=True):
            assert choice.finish_reason == each.finish_reason
            assert choice.logprobs is not None and choice.logprobs.token_logprobs is not None
            told = choice.logprobs.token_logprobs
            assert told == pytest.approx(each.logprobs[: len(told)], abs=1e-4)
            assert len(each.tokens) - len(told) == (each.finish_reason == "stop")
            assert "".join(choice.logprobs.tokens or ()) == choice.text
            assert [choice.text[at:][: len(token)] for at, token in _placed(choice)] == (
                choice.logprobs.tokens
            )
        assert said.usage is not None
        assert said.usage.prompt_tokens == len(tokens)
        assert said.usage.completion_tokens == sum(len(each.tokens) for each in drawn)

    held(build, run, versions, scenario)


def _placed(choice: Any) -> list[tuple[int, str]]:
    return list(zip(choice.logprobs.text_offset, choice.logprobs.tokens, strict=True))


def test_a_stream_says_what_the_whole_says(
    build: Build, run: Path, versions: dict[int, Checkpoint]
) -> None:
    async def scenario(server: Serving) -> None:
        asked: dict[str, Any] = {
            "model": "current",
            "messages": [{"role": "user", "content": PROMPT}],
            "max_completion_tokens": 12,
            "n": 2,
            "seed": 3,
            "logprobs": True,
        }
        whole = await server.client.chat.completions.create(**asked)
        texts, finishes, num_parts, used = ["", ""], {}, 0, None
        logprobs: list[list[Any]] = [[], []]
        stream = await server.client.chat.completions.create(
            **asked, stream=True, stream_options={"include_usage": True}
        )
        async for part in stream:
            num_parts += 1
            assert part.model == whole.model == "v4"
            used = part.usage or used
            for choice in part.choices:
                texts[choice.index] += choice.delta.content or ""
                if choice.logprobs is not None:
                    logprobs[choice.index] += choice.logprobs.content or []
                if choice.finish_reason is not None:
                    finishes[choice.index] = choice.finish_reason
        assert num_parts > 10
        assert texts == [choice.message.content for choice in whole.choices]
        assert finishes == {choice.index: choice.finish_reason for choice in whole.choices}
        for choice in whole.choices:
            assert choice.message.role == "assistant"
            assert choice.logprobs is not None
            content = choice.logprobs.content or []
            streamed = logprobs[choice.index]
            assert [each.token for each in streamed] == [each.token for each in content]
            assert [each.logprob for each in streamed] == pytest.approx(
                [each.logprob for each in content], abs=1e-4
            )
        assert used == whole.usage

    held(build, run, versions, scenario)


def test_a_text_ends_before_what_stops_it(
    build: Build, run: Path, versions: dict[int, Checkpoint]
) -> None:
    async def scenario(server: Serving) -> None:
        asked: dict[str, Any] = {"model": "current", "prompt": PROMPT, "max_tokens": 20, "seed": 1}
        free = (await server.client.completions.create(**asked)).choices[0]
        stop = free.text[4:6]
        cut = free.text[: free.text.index(stop)]
        asked["stop"] = ["nowhere", stop]
        whole = (await server.client.completions.create(**asked, logprobs=1)).choices[0]
        assert (whole.text, whole.finish_reason) == (cut, "stop")
        assert whole.logprobs is not None and "".join(whole.logprobs.tokens or ()) == cut
        streamed = ""
        async for part in await server.client.completions.create(**asked, stream=True):
            streamed += part.choices[0].text
        assert streamed == cut

    held(build, run, versions, scenario)


@pytest.mark.parametrize("build", [scripted, local])
def test_any_version_speaks_under_its_number(
    build: Build, run: Path, versions: dict[int, Checkpoint]
) -> None:
    async def said(server: Serving, model: str) -> tuple[str, str | None, str]:
        raw = await server.client.completions.with_raw_response.create(
            model=model, prompt=PROMPT, max_tokens=10, temperature=0, logprobs=0
        )
        answer = raw.parse()
        return answer.model, raw.headers.get("evolvent-version"), answer.choices[0].text

    async def scenario(server: Serving) -> None:
        for number in (3, 0, 4, 1, 0, 2):
            model, header, text = await said(server, f"v{number}")
            assert (model, header) == (f"v{number}", str(number))
            assert text == (await said(server, str(number)))[2]
        assert server.pool is not None and server.pool.versions == [0, 2]
        assert await said(server, "current") == await said(server, "v4")
        assert await said(server, "previous") == await said(server, "v3")
        assert await said(server, "reference") == await said(server, "v0")
        many = await asyncio.gather(*(said(server, f"v{n}") for n in (0, 1, 2, 3, 4) * 3))
        assert [model for model, *_ in many] == ["v0", "v1", "v2", "v3", "v4"] * 3
        shown = {model.id: model.model_extra or {} async for model in server.client.models.list()}
        assert {"current", "previous", "reference", "v4"} <= set(shown)
        assert shown["current"]["version"] == 4
        assert (await server.client.models.retrieve("v3")).id == "v3"

    held(build, run, versions, scenario)


def test_the_logprobs_of_a_version_are_its_own(run: Path, versions: dict[int, Checkpoint]) -> None:
    async def scenario(server: Serving) -> None:
        tokens = server.host.plain(PROMPT)
        for number in (1, 2):
            answer = await server.client.completions.create(
                model=f"v{number}", prompt=list(tokens), max_tokens=10, seed=2, logprobs=0
            )
            async with server.pool(await _event(server, number)) as engine:  # type: ignore[misc]
                [drawn] = await engine.generate(
                    Request(prompt_tokens=tokens, max_tokens=10, seed=2)
                )
            told = answer.choices[0].logprobs
            assert told is not None and told.token_logprobs
            right = reference_logprobs(versions[number].folder, tokens, drawn)
            assert told.token_logprobs == pytest.approx(right[: len(told.token_logprobs)], abs=1e-4)

    held(local, run, versions, scenario)


async def _event(server: Serving, number: int) -> Any:
    from bus.versions import Versions

    return Versions(server.bus.log).numbered(number)


def test_a_conversation_is_read_as_the_engine_reads_it(
    run: Path, versions: dict[int, Checkpoint]
) -> None:
    async def scenario(server: Serving) -> None:
        said = await server.client.chat.completions.create(
            model="v4",
            messages=[
                {"role": "system", "content": "s"},
                {"role": "user", "content": [{"type": "text", "text": "abc>"}]},
            ],
            temperature=0,
        )
        read = (Message(role="system", text="s"), Message(role="user", text="abc>"))
        tokens = server.host.encode(read)
        [drawn] = await server.host.generate(
            Request(prompt_tokens=tokens, max_tokens=256, temperature=0)
        )
        assert said.choices[0].message.content == server.host.decode(drawn.tokens)

    held(scripted, run, versions, scenario)


@pytest.mark.parametrize(
    ("body", "status", "param", "complaint"),
    [
        ({"model": "gpt-4"}, 404, "model", "there is no model 'gpt-4' here: name one of current"),
        ({"model": "v9"}, 404, "model", "there is no version 9"),
        ({"echo": True}, 400, "echo", "echo is not supported here"),
        ({"suffix": "x"}, 400, "suffix", "suffix is not supported"),
        ({"logprobs": 5}, 400, "logprobs", "less than or equal to 1"),
        ({"temperature": -1}, 400, "temperature", "greater than or equal to 0"),
        ({"temperature": "hot"}, 400, "temperature", "valid number"),
        ({"n": 0}, 400, "n", "greater than"),
        ({"n": 100_000}, 400, "n", "less than"),
        ({"max_tokens": 0}, 400, "max_tokens", "greater than"),
        ({"top_p": 0}, 400, "top_p", "greater than 0"),
        ({"stop": [""]}, 400, "stop", "not empty"),
        ({"prompt": []}, 400, "prompt", "give a text"),
        ({"prompt": ""}, 400, None, "at least one prompt token"),
        ({"prompt": [[1, 2], [-1]]}, 400, None, "prompt tokens must lie in"),
        ({"prompt": "a" * 5000}, 400, None, "leave no room"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_what_cannot_be_answered_is_said_as_openai_says_it(
    run: Path,
    versions: dict[int, Checkpoint],
    body: dict[str, Any],
    status: int,
    param: str | None,
    complaint: str,
    stream: bool,
) -> None:
    async def scenario(server: Serving) -> None:
        create: Any = server.client.completions.create
        asked = {"model": "current", "prompt": PROMPT, "stream": stream} | body
        with pytest.raises(openai.APIStatusError, match=complaint) as raised:
            await create(**asked)
        assert raised.value.status_code == status
        assert isinstance(raised.value.body, dict)
        assert raised.value.body["param"] == param
        assert set(raised.value.body) == {"message", "type", "param", "code"}

    held(local, run, versions, scenario)


def test_a_chat_refuses_what_it_cannot_read(run: Path, versions: dict[int, Checkpoint]) -> None:
    async def scenario(server: Serving) -> None:
        create: Any = server.client.chat.completions.create
        user = {"role": "user", "content": "a"}
        wrongs: list[dict[str, Any]] = [
            {"messages": []},
            {"messages": [{"role": "tool", "content": "a", "tool_call_id": "x"}]},
            {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            {"tools": [{"type": "function", "function": {"name": "f"}}]},
            {"response_format": {"type": "json_object"}},
            {"top_logprobs": 3, "logprobs": True},
        ]
        for wrong in wrongs:
            with pytest.raises(openai.BadRequestError):
                await create(**{"model": "current", "messages": [user]} | wrong)
        plain = {"user": "me", "presence_penalty": 0, "tools": [], "metadata": {"a": "b"}}
        answered = await create(model="current", messages=[user], **plain)
        assert answered.choices

    held(scripted, run, versions, scenario)


def test_where_nothing_is_served_yet_that_is_said(run: Path) -> None:
    async def scenario(server: Serving) -> None:
        with pytest.raises(openai.InternalServerError, match="no weights are served yet") as raised:
            await server.client.completions.create(model="current", prompt=PROMPT)
        assert raised.value.status_code == 503
        assert raised.value.response.headers["retry-after"] == "1"

    held(scripted, run, {}, scenario)


def test_whoever_lacks_the_token_learns_nothing(run: Path, versions: dict[int, Checkpoint]) -> None:
    async def scenario(server: Serving) -> None:
        assert (await server.client.models.list()).data
        for token in ("wrong", "secre", "secret2", "sécret"):
            headers = {"Authorization": f"Bearer {token}"}
            async with aiohttp.ClientSession(headers=headers) as session:
                for path in ("v1/models", "metrics", "evolvent/version", "evolvent/generate", "x"):
                    async with session.get(f"{server.url}/{path}") as answer:
                        assert answer.status == 401, path
                        assert answer.headers["WWW-Authenticate"] == "Bearer"
                async with session.get(f"{server.url}/health") as answer:
                    assert (answer.status, await answer.json()) == (200, {})

    held(scripted, run, versions, scenario, token="secret")


def test_a_page_under_another_name_reaches_nothing(
    run: Path, versions: dict[int, Checkpoint]
) -> None:
    async def asked(server: Serving, host: str, **more: Any) -> int:
        body = {"model": "current", "prompt": PROMPT}
        async with aiohttp.ClientSession(headers={"Host": host}) as session:
            request = more or {"json": body}
            async with session.post(f"{server.url}/v1/completions", **request) as answer:
                return int(answer.status)

    async def scenario(server: Serving) -> None:
        port = server.url.rpartition(":")[2]
        for host in (f"127.0.0.1:{port}", "localhost", f"[::1]:{port}", f"a.localhost:{port}"):
            assert await asked(server, host) == 200, host
        for host in ("evil.example", f"evil.example:{port}", "127.0.0.1.evil.example", "10.0.0.1"):
            assert await asked(server, host) == 403, host
        # What a page may send unasked is no request here.
        assert await asked(server, "localhost", data=b'{"model": "current"}') == 415

    held(scripted, run, versions, scenario)


def test_what_local_draws_is_told_while_it_draws(
    run: Path, versions: dict[int, Checkpoint]
) -> None:
    async def scenario(server: Serving) -> None:
        heard: list[tuple[int, int, float]] = []
        drawing = [Request(prompt_tokens=server.host.plain("a>"), n=5, max_tokens=30, seed=1)] * 2
        asked = Request(prompt_tokens=server.host.plain(PROMPT), n=4, max_tokens=40, seed=9)

        def hear(sample: int, tokens: Any, logprobs: Any, version: int) -> None:
            assert version == 4
            heard.extend((sample, *each) for each in zip(tokens, logprobs, strict=True))

        _, made, _ = await asyncio.gather(
            server.host.generate(drawing[0]),
            server.host.generate_telling(asked, hear),
            server.host.generate(drawing[1]),
        )
        for sample, completion in enumerate(made):
            told = [(token, logprob) for each, token, logprob in heard if each == sample]
            assert len(told) == len(completion.tokens) - 1
            assert told == list(zip(completion.tokens, completion.logprobs, strict=True))[:-1]

    held(local, run, versions, scenario)
