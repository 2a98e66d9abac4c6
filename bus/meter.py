"""Durations that a process measures of itself. Uses OpenTelemetry's API alone: without an SDK they
are recorded nowhere.
"""

from typing import Final

from opentelemetry import metrics
from opentelemetry.metrics import Histogram

SECONDS: Final = (0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""The buckets of what is measured in seconds."""

_METER = metrics.get_meter("evolvent")


def seconds(name: str) -> Histogram:
    """The histogram of that name; what is recorded inside of a sampled span carries its trace."""
    return _METER.create_histogram(
        name, unit="s", explicit_bucket_boundaries_advisory=list(SECONDS)
    )
