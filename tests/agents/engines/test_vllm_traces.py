"""vLLM's spans join the trace of whoever asks, in the agent's process, beside it, and elsewhere."""

import asyncio
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from opentelemetry.trace import use_span

from agents.engines.config import VllmConfig
from agents.engines.engine import EngineUnusable
from agents.engines.server import ServerEngine
from agents.engines.server_vllm import VllmLink
from tests.agents.engines.collector import Collector, attribute, caller
from tests.agents.engines.serving import swap
from tests.agents.engines.test_server_vllm import vllm_server
from tests.agents.engines.tiny_checkpoint import Checkpoint, request

pytestmark = pytest.mark.vllm


def in_a_process(
    folder: Path, where: str = "within", **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.agents.engines.traced_process", str(folder), where],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


@pytest.mark.parametrize("where", ["within", "apart"])
def test_the_spans_of_an_agents_vllm_are_children_of_its_own(
    checkpoints: list[Checkpoint], where: str
) -> None:
    with Collector().collecting() as collector:
        done = in_a_process(checkpoints[0].folder, where, **collector.environment)
    assert done.returncode == 0, done.stderr[-3000:]
    one, two = collector.of(0xA1), collector.of(0xA2)
    assert (len(one), len(two)) == (1, 2)
    assert {span.parent_span_id for span in one} == {(0xB1).to_bytes(8, "big")}
    assert {span.parent_span_id for span in two} == {(0xB2).to_bytes(8, "big")}
    counted = [
        sum(attribute(span, "gen_ai.usage.completion_tokens") for span in spans)
        for spans in (one, two)
    ]
    assert counted == [int(line) for line in done.stdout.split()]


def test_the_spans_of_vllms_own_server_are_children_of_the_agents(
    checkpoints: list[Checkpoint], tmp_path: Path
) -> None:
    checkpoint = checkpoints[0]

    async def scenario(url: str) -> int:
        engine = ServerEngine([VllmLink(url)], patience_seconds=60)
        await swap(engine, 0, checkpoint)
        with use_span(caller(0xA1, 0xB1)):
            made = await engine.generate(request(engine, n=3, max_tokens=7))
        await engine.close()
        return sum(len(completion.tokens) for completion in made)

    with Collector().collecting() as collector:
        variables = collector.environment
        options = ("--otlp-traces-endpoint", variables["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"])
        log = tmp_path / "vllm.log"
        with vllm_server(checkpoint.folder, log, *options, **variables) as url:
            counted = asyncio.run(scenario(url))
            collector.until(lambda: len(collector.of(0xA1)) == 3)
    spans = collector.of(0xA1)
    assert {span.parent_span_id for span in spans} == {(0xB1).to_bytes(8, "big")}
    assert sum(attribute(span, "gen_ai.usage.completion_tokens") for span in spans) == counted


def test_a_receiver_that_is_away_holds_nothing_up(checkpoints: list[Checkpoint]) -> None:
    with Collector().collecting() as collector:
        away = collector.environment
    done = in_a_process(checkpoints[0].folder, **away)
    assert done.returncode == 0, done.stderr[-3000:]
    assert len(done.stdout.split()) == 2


@pytest.mark.parametrize(
    ("protocol", "missing", "complaint"),
    [
        ("http/json", False, "vLLM sends spans as grpc or http/protobuf"),
        ("grpc", True, "vLLM cannot send spans .*: `uv sync .*`, or unset it"),
    ],
)
def test_what_stands_in_the_way_of_spans_is_one_sentence(
    checkpoints: list[Checkpoint],
    monkeypatch: pytest.MonkeyPatch,
    protocol: str,
    missing: bool,
    complaint: str,
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", protocol)
    if missing:
        # As where the package is not installed.
        name = "opentelemetry.exporter.otlp.proto.grpc.trace_exporter"
        monkeypatch.setitem(sys.modules, name, None)

    async def scenario() -> None:
        with ThreadPoolExecutor(1) as executor:
            engine = VllmConfig(cache_megabytes=16).build(executor, seed=0)
            with pytest.raises(EngineUnusable, match=complaint):
                await engine.swap(0, checkpoints[0].folder, checkpoints[0].files)
            await engine.close()

    asyncio.run(scenario())
