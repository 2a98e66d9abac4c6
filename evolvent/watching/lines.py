"""How the lines of a log look: text for a person, JSON for programs, with the ids of the trace they
were written in. EVOLVENT_LOG says which; where it says nothing, a terminal gets text.
"""

import json
import logging
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TextIO

from opentelemetry import trace

from evolvent.errors import UsageError

VARIABLE = "EVOLVENT_LOG"
_TEXT = "%(asctime)s %(process)d %(levelname)s %(message)s"


def check_lines(environment: Mapping[str, str] = os.environ) -> None:
    """Raises `UsageError` for lines that there are not."""
    if (said := environment.get(VARIABLE, "")) not in ("", "text", "json"):
        raise UsageError(f"{VARIABLE} is {said[:80]}: write json or text, or unset it")


def formatter(stream: TextIO | None = None) -> logging.Formatter:
    """For the lines on a stream, or in a file."""
    said = os.environ.get(VARIABLE, "")
    text = said == "text" or (said != "json" and stream is not None and stream.isatty())
    return logging.Formatter(_TEXT) if text else JsonLines()


class JsonLines(logging.Formatter):
    """One object a line: when, how grave, which process and part, what is said, and the trace and
    the span in which it is, if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC)
        said: dict[str, str | int | None] = {
            "time": time.isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "process": record.process,
            "part": record.name,
            "said": record.getMessage(),
        }
        within = trace.get_current_span().get_span_context()
        if within.is_valid:
            said["trace_id"] = f"{within.trace_id:032x}"
            said["span_id"] = f"{within.span_id:016x}"
        if record.exc_info:
            said["error"] = self.formatException(record.exc_info)
        return json.dumps(said, ensure_ascii=False)
