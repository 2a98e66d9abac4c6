"""What is sent by OTLP has the names, labels and values of `/metrics`, after the translation that
Prometheus and the collector make."""

from collections.abc import Iterator
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, Sum

from observability.metrics.meter import Meter
from observability.metrics.page import Page
from observability.metrics.push import observe
from tests.observability.metrics.test_metrics import STORY, met, shown
from tests.observability.story import RUN, dead_letter

UNITS = {"s": "seconds", "By": "bytes"}


def translated(metric: Any) -> str:
    """The specification "OTLP metric points to Prometheus": characters, unit, then `_ratio` for
    gauges of unit 1 and `_total` for counters, none of them twice."""
    name: str = metric.name.replace(".", "_")
    is_counter = isinstance(metric.data, Sum) and metric.data.is_monotonic
    unit = UNITS.get(metric.unit, "")
    if metric.unit == "1" and not is_counter:
        unit = "ratio"
    if unit and not name.endswith(unit):
        name += f"_{unit}"
    return name + ("_total" if is_counter else "")


def sent(meter: Meter) -> dict[str, float]:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    observe(meter, provider)
    found = {}
    for metric in _metrics(reader):
        for one in metric.data.data_points:
            labels = dict(one.attributes)
            assert labels.pop("run") == RUN
            found[f"{translated(metric)}{sorted(labels.values())}"] = one.value
    provider.shutdown()
    return found


def _metrics(reader: InMemoryMetricReader) -> Iterator[Any]:
    data = reader.get_metrics_data()
    assert data is not None
    for resource in data.resource_metrics:
        for scope in resource.scope_metrics:
            yield from scope.metrics


def test_names_and_values_are_equal_both_ways() -> None:
    meter = met([*STORY.events(), dead_letter()], waits=True)
    durations = ("_bucket", "_count", "_sum")
    page = {
        name: value
        for name, value in shown(Page(meter).text()).items()
        if not name.partition("[")[0].endswith(durations)
    }
    assert len(page) > 30
    assert sent(meter) == page
