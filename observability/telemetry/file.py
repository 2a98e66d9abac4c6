"""OTLP as JSON lines in a file that several processes write: one request a line, as collectors read
it (`otlpjsonfile`). Knows no signal.
"""

import base64
import fcntl
import json
import os
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict  # type: ignore[import-untyped]
from google.protobuf.message import Message  # type: ignore[import-untyped]

_IDS = ("traceId", "spanId", "parentSpanId")
"""OTLP-JSON has them in hexadecimal, protobuf's JSON in base 64."""


class TraceFile:
    """Appends whole lines."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def write(self, request: Message) -> None:
        """Raises `OSError`."""
        line = json.dumps(as_json(request), separators=(",", ":")).encode() + b"\n"
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        try:
            while line:
                line = line[os.write(self._descriptor, line) :]
        finally:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        os.close(self._descriptor)


def as_json(request: Message) -> Any:
    """A request as OTLP-JSON has it."""
    return _hexadecimal(MessageToDict(request, use_integers_for_enums=True))


def _hexadecimal(value: Any) -> Any:
    if isinstance(value, list):
        return [_hexadecimal(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        name: base64.b64decode(one).hex() if name in _IDS else _hexadecimal(one)
        for name, one in value.items()
    }
