"""`--metrics PORT`: the numbers of a run, or of one of its processes, for Prometheus."""

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from evolvent.errors import UsageError

if TYPE_CHECKING:
    from observability.metrics.meter import Meter

Metrics = Annotated[
    str | None,
    typer.Option(
        metavar="[HOST:]PORT", help="Show Prometheus' metrics there, at 127.0.0.1 or HOST."
    ),
]

_HOST = "127.0.0.1"


@contextmanager
def metered(place: str | None) -> "Iterator[Meter]":
    """A meter, shown at a place where one is given. Raises `UsageError`."""
    from observability.metrics.meter import Meter

    meter = Meter(asked=place is not None)
    if place is None:
        yield meter
        return
    host, port = _read(place)
    try:
        from observability.metrics.page import Listening
    except ImportError:
        raise UsageError(
            "--metrics needs the extra `telemetry`: `uv sync --extra telemetry`"
        ) from None
    try:
        listening = Listening(host, port, meter)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UsageError(
                f"port {port} of {host} is in use: choose another, for example --metrics {port + 1}"
            ) from None
        raise UsageError(f"--metrics {place}: {error.strerror}; choose another") from None
    print(f"evolvent: metrics at {listening.url}", file=sys.stderr, flush=True)
    try:
        yield meter
    finally:
        listening.close()


def _read(place: str) -> tuple[str, int]:
    host, _, port = place.rpartition(":")
    if not port.isdecimal() or not 0 <= int(port) <= 65535:
        raise UsageError(
            f"--metrics {place}: write a port from 0 to 65535, or HOST:PORT such as {_HOST}:9464"
        )
    return host.strip("[]") or _HOST, int(port)
