"""What `evolvent serve` with vLLM shows of itself: spans in the trace of whoever asks, numbers."""

import asyncio
from pathlib import Path

import pytest
from opentelemetry.trace import use_span

from evolvent.run.folder import RunFolder
from harness.broker import free_port
from harness.collector import Collector
from tests.agents.engines.checkpoint.tiny_checkpoint import request
from tests.agents.engines.host.metrics_page import numbers
from tests.agents.engines.serving import agent
from tests.agents.engines.vllm.collector import attribute, caller, of, traces_here
from tests.evolvent.test_serve import Served, run, served, version

__all__ = ["run"]
pytestmark = [pytest.mark.vllm, pytest.mark.slow, pytest.mark.timeout(400)]

TOKENS = "vllm:generation_tokens_total"


async def observe(run: Path, server: Served, collector: Collector) -> None:
    async with RunFolder(run).log(writable=True) as bus, agent(server.url) as engine:
        event, checkpoint = version(run, 0)
        await bus.publish([event])
        await server.ready()
        await engine.swap(0, checkpoint.folder, checkpoint.files)
        before = await asyncio.to_thread(numbers, server.url)
        with use_span(caller(0xA1, 0xB1)):
            asked = request(engine, n=3, max_tokens=20, temperature=1.0)
            made = await engine.generate(asked)
        counted = sum(len(completion.tokens) for completion in made)
        after = await asyncio.to_thread(numbers, server.url)
        assert after[TOKENS] - before[TOKENS] == counted
        assert after["evolvent_version_served"] == 0
        assert after["evolvent_swaps_total"] == 1
        await asyncio.to_thread(collector.until, lambda: len(of(collector, 0xA1)) == 3)
        spans = of(collector, 0xA1)
        assert {span.parent_span_id for span in spans} == {(0xB1).to_bytes(8, "big")}
        assert sum(attribute(span, "gen_ai.usage.completion_tokens") for span in spans) == counted


def test_spans_and_numbers_are_those_of_the_requests(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Collector().collecting() as collector:
        for name, value in traces_here(collector).items():
            monkeypatch.setenv(name, value)
        settings = ["engine.type=vllm", "engine.cache_megabytes=16"]
        with served(run, free_port(), tmp_path / "said.txt", settings) as [server]:
            asyncio.run(observe(run, server, collector))
