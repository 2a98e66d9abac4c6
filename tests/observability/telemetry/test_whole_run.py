"""A real run of several processes, as a collector sees it and as MLflow does."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import pytest

from bus.tracing.context import sender
from harness.broker import free_port
from harness.collector import Collector, attributes
from harness.runs import read_topic
from observability.telemetry.sampler import is_kept
from tests.evolvent.conftest import EVOLVENT, TINY
from tests.observability.telemetry.processes import ROOT, tasks_kept
from trainer.checkpoint.manifest import checkpoint_folders, read_manifest

pytestmark = [pytest.mark.long, pytest.mark.timeout(1200)]

MLFLOW = "3.17.0"
SHARE = 0.5
_START_SECONDS = 400.0


def evolved(folder: Path, environment: dict[str, str]) -> Path:
    """A run of a few seconds."""
    recipe = folder / "tiny.toml"
    recipe.write_text(TINY, encoding="utf-8")
    run = folder / "run"
    done = subprocess.run(
        [EVOLVENT, "run", "--recipe", str(recipe), "--dir", str(run)],
        env={**os.environ, **environment}, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return run


def test_all_processes_of_a_run_agree_on_what_is_traced(tmp_path: Path) -> None:
    with Collector().collecting() as collector:
        run = evolved(tmp_path, tasks_kept(collector.environment, SHARE))
        spans = collector.spans
    assert {sent.resource["service.name"] for sent in collector.sent_spans} == {
        "run", "agents", "trainer",
    }  # fmt: skip
    assert len({sent.resource["evolvent.run.id"] for sent in collector.sent_spans}) == 1
    judged = read_topic(run, "judgments")
    kept = {one.correlation for one in judged if is_kept(int(one.correlation, 16), SHARE)}
    by_trace = Counter(span.trace_id.hex() for span in spans)
    assert kept and {by_trace[trace_id] for trace_id in kept} == {10}
    assert not [one for one in judged if one.correlation not in kept and by_trace[one.correlation]]
    known = {(span.trace_id, span.span_id) for span in spans}
    assert not [
        span.name
        for span in spans
        if span.parent_span_id and (span.trace_id, span.parent_span_id) not in known
    ]
    steps = {
        attributes(one)["evolvent.weights.version"]: one
        for one in spans
        if one.name == "train_step"
    }
    sent = {one.id: sender(one.correlation, one.id) for one in judged}
    for manifest in map(read_manifest, checkpoint_folders(run)):
        if manifest.version:
            linked = {link.span_id for link in steps[manifest.version].links}
            expected = {sent[one.id].span_id.to_bytes(8, "big") for one in manifest.trained}
            assert linked == expected


@pytest.fixture(scope="module")
def mlflow() -> Path:
    """Python of an environment with MLflow, made where there is none."""
    folder = Path.home() / ".cache" / "evolvent" / f"mlflow-{MLFLOW}"
    python = folder / "bin" / "python"
    if not (folder / "bin" / "mlflow").exists():
        uv = str(ROOT / ".tools" / "bin" / "uv")
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        subprocess.run([uv, "venv", "-q", "--clear", "--python", version, str(folder)], check=True)
        words = ["pip", "install", "-q", "--python", str(python), f"mlflow=={MLFLOW}"]
        subprocess.run([uv, *words], check=True)
    return python


@contextmanager
def served(python: Path, folder: Path) -> Iterator[str]:
    url = f"http://127.0.0.1:{(port := free_port())}"
    words = ["server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    words += ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"]
    with (folder / "mlflow.txt").open("wb") as said:
        process = subprocess.Popen(
            [str(python.with_name("mlflow")), *words],
            cwd=folder, stdout=said, stderr=said, start_new_session=True,
        )  # fmt: skip
        try:
            yield url
        finally:
            os.killpg(process.pid, 15)
            process.wait(60)


def experiment(url: str) -> str:
    """A new one, once the server answers."""
    deadline = time.monotonic() + _START_SECONDS
    request = Request(
        f"{url}/api/2.0/mlflow/experiments/create",
        data=b'{"name": "evolvent"}', headers={"Content-Type": "application/json"},
    )  # fmt: skip
    while True:
        try:
            with urlopen(request, timeout=120) as answer:
                return str(json.load(answer)["experiment_id"])
        except URLError:
            assert time.monotonic() < deadline
            time.sleep(1)


@pytest.mark.peer
def test_mlflow_shows_agents_calls_tokens_and_what_a_step_was_made_of(
    mlflow: Path, tmp_path: Path
) -> None:
    with served(mlflow, tmp_path) as url:
        number = experiment(url)
        run = evolved(
            tmp_path,
            {
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{url}/v1/traces",
                "OTEL_EXPORTER_OTLP_TRACES_HEADERS": f"x-mlflow-experiment-id={number}",
                "OTEL_TRACES_SAMPLER": "always_on",
                "OTEL_BSP_SCHEDULE_DELAY": "500",
                # Its database takes its time.
                "OTEL_BSP_EXPORT_TIMEOUT": "60000",
            },
        )
        script = ROOT / "tests" / "observability" / "telemetry" / "mlflow_traces.py"
        done = subprocess.run(
            [str(mlflow), str(script), url, number],
            cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    traces: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    spans = [span for trace in traces for span in trace["spans"]]
    types = {span["name"]: span["type"] for span in spans}
    assert types["invoke_agent solver"] == "AGENT"
    assert types["invoke_agent critic"] == "EVALUATOR"
    chats = [span for span in spans if span["name"] == "chat tiny"]
    assert {span["type"] for span in chats} == {"CHAT_MODEL"}
    attempts = read_topic(run, "attempts")
    assert chats and len(chats) <= len(attempts)
    drawn: list[Any] = [turn for one in attempts for turn in one.samples[0].turns]  # type: ignore[attr-defined]
    assert drawn
    used = [trace["usage"] for trace in traces if trace["usage"]]
    assert len(used) == len(chats)
    assert all(one["input_tokens"] > 0 and one["output_tokens"] > 0 for one in used)
    links = Counter(
        (span["attributes"]["evolvent.weights.version"], span["links"])
        for span in spans
        if span["name"] == "train_step"
    )
    made = [one for one in map(read_manifest, checkpoint_folders(run)) if one.version]
    assert set(links) == {(one.version, len(one.trained)) for one in made}
