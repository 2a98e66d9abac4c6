"""What cannot be exported is one sentence, before anything starts."""

from pathlib import Path

import pytest

from evolvent.cli import main


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318", "name a collector's URL"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "http/protobuf"),
        ("OTEL_TRACES_SAMPLER_ARG", "2", "from 0 to 1"),
        ("EVOLVENT_LOG", "xml", "write json or text"),
        ("EVOLVENT_TRACE_FILE", "/nowhere/at/all.jsonl", "name a file that can be written"),
    ],
)
@pytest.mark.parametrize(
    "command",
    [["run", "--dir", "new"], ["agent", "solver", "--dir", "new"], ["serve", "new"]],
    ids=["run", "agent", "serve"],
)
def test_nothing_starts_for_what_cannot_be_exported(
    command: list[str],
    variable: str,
    value: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv(variable, value)
    with pytest.raises(SystemExit) as ended:
        main(command)
    told = capsys.readouterr().err
    assert ended.value.code == 2 and said in told and told.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
