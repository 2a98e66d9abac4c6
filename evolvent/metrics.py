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
    int | None,
    typer.Option(min=0, max=65535, help="Show Prometheus' metrics at this port of 127.0.0.1."),
]


@contextmanager
def metered(port: int | None) -> "Iterator[Meter]":
    """A meter, shown at a port where one is given. Raises `UsageError`."""
    from observability.metrics.meter import Meter

    meter = Meter(asked=port is not None)
    if port is None:
        yield meter
        return
    try:
        from observability.metrics.page import Listening
    except ImportError:
        raise UsageError(
            "--metrics needs the extra `telemetry`: `uv sync --extra telemetry`"
        ) from None
    try:
        listening = Listening(port, meter)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UsageError(
                f"port {port} of 127.0.0.1 is in use: choose another, for example "
                f"--metrics {port + 1}"
            ) from None
        raise UsageError(f"--metrics {port}: {error.strerror}; choose another port") from None
    print(f"evolvent: metrics at {listening.url}", file=sys.stderr, flush=True)
    try:
        yield meter
    finally:
        listening.close()
