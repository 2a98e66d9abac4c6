"""What meters say as OpenTelemetry's own figures, for whoever sends these on. Knows no run, and
loads no SDK until a `reader` is made.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation

from observability.metrics.meter import Meter
from observability.metrics.points import Histogram
from observability.metrics.registry import METRICS, Metric

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricReader


def reader() -> "MetricReader":
    """Sends all figures of a process by OTLP, as often as OTEL_METRIC_EXPORT_INTERVAL says."""
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    return PeriodicExportingMetricReader(OTLPMetricExporter())


def observe(meter: Meter, provider: MeterProvider | None = None) -> None:
    """Its counters and gauges; histograms are sent by the processes that record them, with their
    traces. To be called once the SDK is set up, whose own provider it is unless one is named."""
    ours = metrics.get_meter("evolvent", meter_provider=provider)
    for metric in METRICS.values():
        said: dict[str, Any] = {"unit": metric.unit, "description": metric.help}
        if metric.kind == "counter":
            ours.create_observable_counter(metric.name, [_observed(metric, meter)], **said)
        elif metric.kind == "gauge":
            ours.create_observable_gauge(metric.name, [_observed(metric, meter)], **said)


def _observed(metric: Metric, meter: Meter) -> Callable[[CallbackOptions], Iterator[Observation]]:
    def observed(options: CallbackOptions) -> Iterator[Observation]:
        for one in meter.points():
            if one.metric is metric and not isinstance(one.value, Histogram):
                yield Observation(one.value, {"run": meter.run, **one.labels})

    return observed
