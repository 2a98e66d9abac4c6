"""Points as Prometheus reads them, and where it does. Knows no run."""

from collections.abc import Iterator
from itertools import accumulate
from typing import Any

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    generate_latest,
    start_http_server,
)
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)

from bus.meter import SECONDS
from observability.metrics.meter import Meter
from observability.metrics.points import Histogram
from observability.metrics.registry import Metric

CONTENT_TYPE: str = CONTENT_TYPE_LATEST
_FAMILIES: dict[str, Any] = {"counter": CounterMetricFamily, "gauge": GaugeMetricFamily}


class Page:
    """A collector of what meters say whenever Prometheus asks."""

    def __init__(self, *meters: Meter) -> None:
        self._meters = meters

    def collect(self) -> Iterator[Any]:
        families: dict[str, Any] = {}
        for meter in self._meters:
            for one in meter.points():
                if (family := families.get(one.metric.name)) is None:
                    family = families[one.metric.name] = _family(one.metric)
                values = [meter.run, *(one.labels[name] for name in one.metric.labels)]
                if isinstance(one.value, Histogram):
                    family.add_metric(values, _buckets(one.value), one.value.total)
                else:
                    family.add_metric(values, one.value)
        yield from families.values()

    def text(self) -> bytes:
        """In Prometheus' text format."""
        shown: bytes = generate_latest(self.registry)
        return shown

    @property
    def registry(self) -> CollectorRegistry:
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        return registry


def _family(metric: Metric) -> Any:
    labels = ["run", *metric.labels]
    if metric.kind == "histogram":
        return HistogramMetricFamily(metric.prometheus, metric.help, labels=labels)
    return _FAMILIES[metric.kind](metric.prometheus, metric.help, labels=labels)


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    bounds = [*map(str, SECONDS), "+Inf"]
    return list(zip(bounds, map(float, accumulate(histogram.counts)), strict=True))


class Listening:
    """Answers GET /metrics from a thread of its own, until it is closed."""

    def __init__(self, host: str, port: int, *meters: Meter) -> None:
        """Raises `OSError` where the port cannot be had."""
        self._host = host
        self._server, self._thread = start_http_server(port, host, Page(*meters).registry)

    @property
    def url(self) -> str:
        return f"http://{self._host}:{self._server.server_port}/metrics"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
