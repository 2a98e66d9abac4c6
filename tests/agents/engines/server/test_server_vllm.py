"""Real vLLM behind HTTP: hosted by our server, and vLLM's own server under its own verbs."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from urllib.error import URLError
from urllib.request import urlopen

import psutil
import pytest
from opentelemetry.trace import use_span

from agents.engines.config import VllmConfig
from agents.engines.engine import Completion, Engine, Request, SwapRefused
from agents.engines.server.engine import ServerEngine
from agents.engines.server.vllm_link import VllmLink
from harness.broker import free_port
from harness.collector import Collector
from tests.agents.engines.checkpoint.tiny_checkpoint import Checkpoint, request
from tests.agents.engines.serving import Followed, agent, serving, swap
from tests.agents.engines.vllm.collector import attribute, caller, of, traces_here
from tests.agents.engines.vllm.test_vllm import PROMPTS, TOLERANCE, Reference

pytestmark = pytest.mark.vllm


async def says_what_transformers_says(
    engine: Engine, reference: Reference, checkpoints: Sequence[Checkpoint], first: int = 0
) -> None:
    for version in range(first, first + 4):
        checkpoint = checkpoints[version % 3]
        await engine.swap(version, checkpoint.folder, checkpoint.files)
        for text in PROMPTS:
            asked = request(engine, text, max_tokens=24, temperature=0.0)
            [completion] = await engine.generate(asked)
            expected = reference.greedy(version % 3, asked.prompt_tokens, 24)
            assert list(completion.tokens) == expected
            assert {span.version for span in completion.spans} == {version}
        for temperature in (1.0, 0.7):
            asked = request(engine, n=8, max_tokens=24, temperature=temperature, seed=version)
            made = await engine.generate(asked)
            assert reference.worst_error(asked, made) < TOLERANCE


async def keeps_every_request(
    engine: Engine, reference: Reference, checkpoints: Sequence[Checkpoint], first: int
) -> None:
    """256 in flight over 20 swaps; all tokens are those of the versions that they name."""
    finished = asyncio.Event()
    answers: list[tuple[int, Request, list[Completion]]] = []

    async def caller(number: int) -> None:
        while not finished.is_set():
            asked = request(
                engine, PROMPTS[number % 5], n=4, max_tokens=100, temperature=2.0, seed=number
            )
            since = engine.version
            answers.append((since, asked, await engine.generate(asked)))

    async def swapper() -> None:
        for version in range(first, first + 20):
            checkpoint = checkpoints[version % 3]
            await engine.swap(version, checkpoint.folder, checkpoint.files)
        finished.set()

    async with asyncio.timeout(300), asyncio.TaskGroup() as group:
        for number in range(64):
            group.create_task(caller(number))
        group.create_task(swapper())
    assert len(answers) >= 64
    spans = 0
    for since, _, made in answers:
        assert len(made) == 4
        for completion in made:
            versions = [span.version for span in completion.spans]
            assert versions == sorted(versions)
            assert versions[0] >= since
            spans = max(spans, len(versions))
    assert spans > 1
    for _, asked, made in answers[:: max(1, len(answers) // 64)]:
        assert reference.worst_error(asked, made) < TOLERANCE


def test_vllm_behind_our_server(checkpoints: list[Checkpoint]) -> None:
    reference = Reference(checkpoints)

    async def scenario() -> None:
        with ThreadPoolExecutor(max_workers=1) as executor:
            hosted = VllmConfig(cache_megabytes=32).build(executor, seed=0)
            async with serving(hosted) as server, agent(server.url) as engine:
                followed = Followed(engine, [server.host])
                await says_what_transformers_says(followed, reference, checkpoints)
                await keeps_every_request(followed, reference, checkpoints, first=4)

    asyncio.run(scenario())


def test_two_servers_are_never_far_apart(checkpoints: list[Checkpoint]) -> None:
    async def scenario() -> None:
        with ThreadPoolExecutor(max_workers=1) as executor:
            engines = [VllmConfig(cache_megabytes=16).build(executor, seed=0) for _ in range(2)]
            async with (
                serving(engines[0]) as one,
                serving(engines[1]) as two,
                agent(one.url, two.url) as light,
            ):
                followed = Followed(light, [one.host, two.host])
                await followed.swap(0, checkpoints[0].folder, checkpoints[0].files)
                for version in range(1, 11):
                    checkpoint = checkpoints[version % 3]
                    asked = [
                        light.generate(request(light, n=4, max_tokens=60, temperature=2.0))
                        for _ in range(16)
                    ]
                    swap = followed.swap(version, checkpoint.folder, checkpoint.files)
                    made, _ = await asyncio.gather(asyncio.gather(*asked), swap)
                    said = {s.version for each in made for c in each for s in c.spans}
                    assert said <= {version - 1, version}
                    assert one.host.version == two.host.version == version

    asyncio.run(scenario())


@contextmanager
def vllm_server(folder: Path, log: Path, *options: str, **environment: str) -> Iterator[str]:
    """vLLM's own server, started as docs/serving.md says."""
    port = free_port()
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(folder)]
    command += ["--host", "127.0.0.1", "--port", str(port), "--served-model-name", "model"]
    command += ["--dtype", "float32", "--enforce-eager", "--enable-scale-out"]
    # vLLM for CPUs dies of a seeded request whose prompt it reads in parts.
    command += ["--max-num-batched-tokens", "65536", "--no-enable-chunked-prefill"]
    command += ["--skip-tokenizer-init", "--generation-config", "vllm"]
    command += ["--kv-cache-memory-bytes", str(32 << 20), "--logprobs-mode", "processed_logprobs"]
    command += ["--worker-extension-cls", "agents.engines.vllm.worker.EvolventWorker"]
    command += ["--weight-transfer-config", '{"backend": "evolvent_file"}', *options]
    variables = {
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "VLLM_SERVER_DEV_MODE": "1",
        "TORCHDYNAMO_DISABLE": "1",
        "OMP_NUM_THREADS": "1",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    }
    url = f"http://127.0.0.1:{port}"
    with log.open("wb") as file:
        server = subprocess.Popen(
            command, env={**os.environ, **variables, **environment}, stdout=file, stderr=file
        )
    try:
        deadline = monotonic() + 200
        while not _answers(url + "/health"):
            assert server.poll() is None, log.read_text()[-3000:]
            assert monotonic() < deadline
        yield url
    finally:
        workers = psutil.Process(server.pid).children(recursive=True)
        server.kill()
        server.wait()
        _, left = psutil.wait_procs(workers, timeout=20)
    assert workers
    assert not left


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=1) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


@pytest.fixture(scope="module")
def own_server(
    tmp_path_factory: pytest.TempPathFactory, checkpoints: list[Checkpoint]
) -> Iterator[tuple[str, Collector]]:
    """vLLM's own server, and who receives its spans."""
    log = tmp_path_factory.mktemp("own") / "vllm.log"
    with Collector().collecting() as collector:
        variables = traces_here(collector)
        options = ("--otlp-traces-endpoint", variables["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"])
        with vllm_server(checkpoints[0].folder, log, *options, **variables) as url:
            yield url, collector


@pytest.mark.long
@pytest.mark.timeout(500)
def test_the_spans_of_vllms_own_server_are_children_of_the_agents(
    own_server: tuple[str, Collector], checkpoints: list[Checkpoint]
) -> None:
    url, collector = own_server

    async def scenario() -> int:
        engine = ServerEngine([VllmLink(url)], patience_seconds=60)
        await swap(engine, 0, checkpoints[0])
        with use_span(caller(0xA1, 0xB1)):
            made = await engine.generate(request(engine, n=3, max_tokens=7))
        await engine.close()
        return sum(len(completion.tokens) for completion in made)

    counted = asyncio.run(scenario())
    collector.until(lambda: len(of(collector, 0xA1)) == 3)
    spans = of(collector, 0xA1)
    assert {span.parent_span_id for span in spans} == {(0xB1).to_bytes(8, "big")}
    assert sum(attribute(span, "gen_ai.usage.completion_tokens") for span in spans) == counted


@pytest.mark.long
def test_vllms_own_server_under_its_own_verbs(
    own_server: tuple[str, Collector], checkpoints: list[Checkpoint]
) -> None:
    reference = Reference(checkpoints)

    async def scenario(url: str) -> None:
        engine = ServerEngine([VllmLink(url)], patience_seconds=200)
        await says_what_transformers_says(engine, reference, checkpoints)
        wrong = {**checkpoints[1].files, "model.safetensors": "0" * 64}
        with pytest.raises(SwapRefused, match="has sha256"):
            await engine.swap(4, checkpoints[1].folder, wrong)
        assert engine.version == 3
        await keeps_every_request(engine, reference, checkpoints, first=5)
        with pytest.raises(ValueError, match="a request needs"):
            await engine.generate(request(engine, max_tokens=100_000))
        await engine.close()

    asyncio.run(scenario(own_server[0]))
