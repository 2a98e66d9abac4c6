"""What the environment asks for, and what cannot be had."""

from pathlib import Path

import pytest

from observability.telemetry import wanted as module
from observability.telemetry.wanted import DEFAULT_SHARE, TRACE_FILE, TelemetryError, wanted

HERE = "http://127.0.0.1:4318"


def test_nothing_is_exported_unasked() -> None:
    assert not wanted({})
    assert not wanted({"OTEL_EXPORTER_OTLP_ENDPOINT": "", TRACE_FILE: ""})
    assert not wanted({"OTEL_EXPORTER_OTLP_ENDPOINT": HERE, "OTEL_SDK_DISABLED": "true"})


def test_one_endpoint_is_for_all_signals_and_one_may_have_its_own() -> None:
    every = wanted({"OTEL_EXPORTER_OTLP_ENDPOINT": HERE})
    assert every.traces and every.logs and every.metrics and every.share == DEFAULT_SHARE
    one = wanted({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": HERE})
    assert one.traces and not one.logs and not one.metrics
    less = wanted({"OTEL_EXPORTER_OTLP_ENDPOINT": HERE, "OTEL_LOGS_EXPORTER": "none"})
    assert less.traces and not less.logs


@pytest.mark.parametrize(
    ("sampler", "share", "kept"),
    [
        ("", "0.5", 0.5),
        ("always_on", "", 1.0),
        ("parentbased_always_off", "", 0.0),
        ("parentbased_traceidratio", "0.25", 0.25),
        ("traceidratio", "", DEFAULT_SHARE),
    ],
)
def test_the_share_of_tasks_is_that_of_the_environment(
    sampler: str, share: str, kept: float
) -> None:
    variables = {"OTEL_TRACES_SAMPLER": sampler, "OTEL_TRACES_SAMPLER_ARG": share}
    assert wanted({"OTEL_EXPORTER_OTLP_ENDPOINT": HERE} | variables).share == kept


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "127.0.0.1:4318"}, "name a collector's URL"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "http/protobuf"),
        ({"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc"}, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"),
        ({"OTEL_TRACES_SAMPLER": "jaeger_remote"}, "traceidratio"),
        ({"OTEL_TRACES_SAMPLER_ARG": "1.5"}, "from 0 to 1"),
        ({"OTEL_TRACES_SAMPLER_ARG": "many"}, "from 0 to 1"),
        ({TRACE_FILE: "/nowhere/at/all.jsonl"}, "--trace /nowhere/at/all.jsonl"),
    ],
)
def test_what_cannot_be_had_is_one_sentence(variables: dict[str, str], said: str) -> None:
    with pytest.raises(TelemetryError, match=said) as caught:
        wanted({"OTEL_EXPORTER_OTLP_ENDPOINT": HERE} | variables)
    assert "\n" not in str(caught.value)


def test_a_file_is_asked_for_by_its_name(tmp_path: Path) -> None:
    found = wanted({TRACE_FILE: str(tmp_path / "t.jsonl")})
    assert found.file == tmp_path / "t.jsonl" and not found.traces


def test_without_its_libraries_nothing_is_promised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LIBRARIES", ("opentelemetry.nowhere.at_all",))
    assert not wanted({})
    with pytest.raises(TelemetryError, match="uv sync --extra telemetry"):
        wanted({"OTEL_EXPORTER_OTLP_ENDPOINT": HERE})
