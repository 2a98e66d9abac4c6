"""Values of metrics, and histograms that are filled. Knows no run."""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field

from bus.meter import SECONDS
from observability.metrics.registry import METRICS, Metric


@dataclass(slots=True, kw_only=True)
class Histogram:
    """How many values lie up to each of the bounds, and above the last; their sum."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(SECONDS) + 1))
    total: float = 0.0

    def add(self, value: float) -> None:
        self.counts[bisect_left(SECONDS, value)] += 1
        self.total += value

    @property
    def count(self) -> int:
        return sum(self.counts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One value, with the value of each label of its metric."""

    metric: Metric
    value: float | Histogram
    labels: Mapping[str, str]


def point(name: str, value: float | Histogram, **labels: str) -> Point:
    """Raises `KeyError` for a metric that is not registered, and `ValueError` for other labels."""
    metric = METRICS[name]
    if {*labels} != {*metric.labels}:
        raise ValueError(f"{name} has the labels {metric.labels}, not {tuple(labels)}")
    return Point(metric=metric, value=value, labels=labels)
