"""What Prometheus reads of a server: what it serves, and the numbers of its process, vLLM's own
among them. Knows no network.
"""

from collections.abc import Iterator
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from agents.engines.host.host import Host

CONTENT_TYPE: str = CONTENT_TYPE_LATEST


class _Numbers:
    """Reads a host whenever it is asked."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def collect(self) -> Iterator[Any]:
        host = self._host
        yield GaugeMetricFamily(
            "evolvent_version_served", "Version of the weights; -1 before the first", host.version
        )
        yield GaugeMetricFamily(
            "evolvent_samples_in_flight", "Samples asked for and not answered", host.in_flight
        )
        yield CounterMetricFamily("evolvent_swaps", "Versions that were loaded", host.num_swaps)
        yield CounterMetricFamily(
            "evolvent_swaps_refused", "Versions that were not taken", host.num_refused
        )


def page(host: Host) -> bytes:
    """In Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(_Numbers(host))
    shown: bytes = generate_latest(registry) + generate_latest()
    return shown
