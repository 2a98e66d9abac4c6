"""What the environment asks to be exported, read before anything starts. Loads no SDK.

OTEL_EXPORTER_OTLP_ENDPOINT, or that of one signal   to a collector, as http/protobuf
EVOLVENT_TRACE_FILE (`--trace FILE`)                 traces and logs as OTLP-JSON lines
OTEL_TRACES_SAMPLER_ARG                              the share of tasks that are traced
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

TRACE_FILE = "EVOLVENT_TRACE_FILE"
DEFAULT_SHARE = 0.02
"""Of the tasks: a trace of each costs more than it tells."""

_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
_PROTOCOL = "OTEL_EXPORTER_OTLP_PROTOCOL"
_SAMPLER, _SHARE = "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"
_FIXED_SHARES = {"always_on": 1.0, "always_off": 0.0}
_LIBRARIES = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")


class TelemetryError(Exception):
    """What is asked for cannot be exported: one sentence that says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which signals go to a collector, the file that traces and logs are written to, and the share
    of tasks that are traced."""

    traces: bool = False
    logs: bool = False
    metrics: bool = False
    file: Path | None = None
    share: float = DEFAULT_SHARE

    def __bool__(self) -> bool:
        return self.traces or self.logs or self.metrics or self.file is not None


def wanted(environment: Mapping[str, str] = os.environ) -> Wanted:
    """What is asked for. Raises `TelemetryError` for what cannot be done."""
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return Wanted()
    file = environment.get(TRACE_FILE, "")
    found = Wanted(
        traces=_goes_out("traces", environment),
        logs=_goes_out("logs", environment),
        metrics=_goes_out("metrics", environment),
        file=Path(file) if file else None,
    )
    if not found:
        return found
    _check_libraries()
    if found.file is not None:
        _check_file(found.file)
    return Wanted(
        traces=found.traces,
        logs=found.logs,
        metrics=found.metrics,
        file=found.file,
        share=_share(environment),
    )


def _goes_out(signal: str, environment: Mapping[str, str]) -> bool:
    """Whether a signal has a collector to go to."""
    own = _ENDPOINT.replace("OTLP", f"OTLP_{signal.upper()}")
    name = own if environment.get(own) else _ENDPOINT
    endpoint = environment.get(name, "")
    if not endpoint or environment.get(f"OTEL_{signal.upper()}_EXPORTER") == "none":
        return False
    if not endpoint.startswith(("http://", "https://")):
        raise TelemetryError(
            f"{name} is {endpoint[:80]}: name a collector's URL, such as http://127.0.0.1:4318"
        )
    protocol_name = _PROTOCOL.replace("OTLP", f"OTLP_{signal.upper()}")
    name = protocol_name if environment.get(protocol_name) else _PROTOCOL
    if (protocol := environment.get(name) or "http/protobuf") != "http/protobuf":
        raise TelemetryError(
            f"{name} is {protocol[:80]}: evolvent speaks http/protobuf, which collectors take at "
            "port 4318"
        )
    return True


def _share(environment: Mapping[str, str]) -> float:
    sampler = environment.get(_SAMPLER, "").removeprefix("parentbased_")
    if sampler in _FIXED_SHARES:
        return _FIXED_SHARES[sampler]
    if sampler not in ("", "traceidratio"):
        raise TelemetryError(
            f"{_SAMPLER} is {sampler[:80]}: evolvent knows always_on, always_off and traceidratio"
        )
    text = environment.get(_SHARE) or str(DEFAULT_SHARE)
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise TelemetryError(
            f"{_SHARE} is {text[:80]}: write the share of tasks that are traced, from 0 to 1"
        )
    return share


def _check_libraries() -> None:
    for name in _LIBRARIES:
        try:
            found = find_spec(name)
        except ModuleNotFoundError:
            found = None
        if found is None:
            raise TelemetryError(
                f"traces, logs and figures are asked for ({_ENDPOINT}, --trace) and need the extra "
                "`telemetry`: install it with uv sync --extra telemetry"
            )


def _check_file(file: Path) -> None:
    try:
        with file.open("ab"):
            pass
    except OSError as error:
        raise TelemetryError(
            f"--trace {file}: {error.strerror}; name a file that can be written"
        ) from None
