"""What a recipe may say of engines, and what others need to know of one."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from agents.engines.config import EngineConfig, LocalConfig, ScriptedConfig, ServerConfig
from tests.agents.engines.checkpoint.tiny_checkpoint import Checkpoint, request

ENGINE: TypeAdapter[EngineConfig] = TypeAdapter(EngineConfig)
URLS = ("http://one:1", "http://two:2")


@pytest.mark.parametrize("type", ["local", "vllm", "server", "scripted"])
def test_an_engine_is_chosen_by_its_type(type: str) -> None:
    engine = ENGINE.validate_python({"type": type})
    assert engine.type == type
    assert ENGINE.validate_json(engine.model_dump_json()) == engine


def test_servers_have_addresses_and_nothing_else_has() -> None:
    assert ServerConfig(urls=URLS).servers == URLS
    for type in ("local", "vllm", "scripted"):
        assert ENGINE.validate_python({"type": type}).servers == ()


def test_every_engine_but_a_server_serves_a_chosen_version_in_this_process() -> None:
    assert ServerConfig(urls=URLS).in_process() == LocalConfig()
    for said in ({"type": "local", "max_rows": 8}, {"type": "vllm", "max_rows": 8}):
        engine = ENGINE.validate_python(said)
        assert engine.in_process() == engine
    assert ScriptedConfig(answers=("a",)).in_process() == ScriptedConfig(answers=("a",))


def test_a_scripted_engine_says_what_the_recipe_names(checkpoints: list[Checkpoint]) -> None:
    config = ENGINE.validate_python({"type": "scripted", "answers": ["ba", "ab"]})

    async def scenario() -> set[str]:
        with ThreadPoolExecutor(max_workers=1) as executor:
            engine = config.build(executor, seed=0)
            await engine.swap(0, checkpoints[0].folder, checkpoints[0].files)
            completions = await engine.generate(request(engine, n=32, max_tokens=9))
            await engine.close()
        return {engine.decode(completion.tokens) for completion in completions}

    assert asyncio.run(scenario()) == {"ab", "ba"}


@pytest.mark.parametrize("wrong", [{"answers": []}, {"latency_seconds": -1}, {"answer": "ab"}])
def test_a_scripted_engine_that_could_say_nothing_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ENGINE.validate_python({"type": "scripted", **wrong})
