"""vLLM's spans join the trace of whoever asks, in the agent's process and beside it."""

import asyncio
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agents.engines.config import VllmConfig
from agents.engines.engine import EngineUnusable
from harness.collector import Collector
from tests.agents.engines.checkpoint.tiny_checkpoint import Checkpoint
from tests.agents.engines.vllm.collector import attribute, of, traces_here

pytestmark = pytest.mark.vllm


def in_a_process(
    folder: Path, where: str = "within", **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.agents.engines.vllm.traced_process", str(folder), where],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


@pytest.mark.parametrize("where", [pytest.param("within", marks=pytest.mark.long), "apart"])
def test_the_spans_of_an_agents_vllm_are_children_of_its_own(
    checkpoints: list[Checkpoint], where: str
) -> None:
    with Collector().collecting() as collector:
        done = in_a_process(checkpoints[0].folder, where, **traces_here(collector))
    assert done.returncode == 0, done.stderr[-3000:]
    one, two = of(collector, 0xA1), of(collector, 0xA2)
    assert (len(one), len(two)) == (1, 2)
    assert {span.parent_span_id for span in one} == {(0xB1).to_bytes(8, "big")}
    assert {span.parent_span_id for span in two} == {(0xB2).to_bytes(8, "big")}
    counted = [
        sum(attribute(span, "gen_ai.usage.completion_tokens") for span in spans)
        for spans in (one, two)
    ]
    assert counted == [int(line) for line in done.stdout.split()]


@pytest.mark.long
def test_a_receiver_that_is_away_holds_nothing_up(checkpoints: list[Checkpoint]) -> None:
    with Collector().collecting() as collector:
        away = traces_here(collector)
    # The exporter gives up when the process ends.
    done = in_a_process(checkpoints[0].folder, OTEL_EXPORTER_OTLP_TRACES_TIMEOUT="1", **away)
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
