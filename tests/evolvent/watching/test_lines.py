"""Lines of a log that programs read, and those that people do."""

import io
import json
import logging
from datetime import datetime

import pytest
from opentelemetry.trace import NonRecordingSpan, SpanContext, use_span

from evolvent.errors import UsageError
from evolvent.watching.lines import VARIABLE, check_lines, formatter


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def line(stream: io.StringIO | None, error: Exception | None = None) -> str:
    record = logging.LogRecord(
        "trainer.trainer", logging.INFO, "file", 1, "version %d: “learned”", (3,),
        (type(error), error, None) if error else None,
    )  # fmt: skip
    return formatter(stream).format(record)


def test_a_redirected_line_is_one_object_with_its_trace() -> None:
    context = SpanContext(0xABC, 0xDEF, is_remote=False)
    with use_span(NonRecordingSpan(context)):
        said = json.loads(line(io.StringIO(), ValueError("two\nlines")))
    assert datetime.fromisoformat(said.pop("time")).tzinfo is not None
    assert said.pop("error") == "ValueError: two\nlines"
    assert isinstance(said.pop("process"), int)
    assert said == {
        "level": "INFO",
        "part": "trainer.trainer",
        "said": "version 3: “learned”",
        "trace_id": f"{0xABC:032x}",
        "span_id": f"{0xDEF:016x}",
    }
    assert "\n" not in line(None, ValueError("two\nlines")) and "trace_id" not in line(None)


def test_a_terminal_gets_text_unless_another_kind_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert line(Terminal()).endswith(" INFO version 3: “learned”")
    monkeypatch.setenv(VARIABLE, "json")
    assert json.loads(line(Terminal()))["said"] == "version 3: “learned”"
    monkeypatch.setenv(VARIABLE, "text")
    assert line(None).endswith(" INFO version 3: “learned”")


def test_other_lines_there_are_none() -> None:
    check_lines({VARIABLE: "json"})
    with pytest.raises(UsageError, match="write json or text"):
        check_lines({VARIABLE: "yaml"})
