"""A collector of telemetry on a free port of loopback: OTLP as protobuf over HTTP. It takes what is
sent, or refuses it, or never answers.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from time import monotonic, sleep
from typing import Any, Literal

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

_REQUESTS: dict[str, type[Any]] = {
    "/v1/traces": ExportTraceServiceRequest,
    "/v1/logs": ExportLogsServiceRequest,
    "/v1/metrics": ExportMetricsServiceRequest,
}


@dataclass(frozen=True, slots=True)
class Sent:
    """A span, or a log record, and the resource that it is of."""

    item: Any
    resource: dict[str, Any]


class Collector:
    """`environment` sends all of a process here; `sent_spans`, `sent_records` and `figures` are
    what came, `requests` how often somebody called."""

    def __init__(self, does: Literal["takes", "refuses", "hangs"] = "takes") -> None:
        self.does = does
        self.requests = 0
        self.sent_spans: list[Sent] = []
        self.sent_records: list[Sent] = []
        self.figures: list[Any] = []
        self._ended = Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.environment = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.url,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
        }

    @property
    def spans(self) -> list[Any]:
        return [sent.item for sent in self.sent_spans]

    @contextmanager
    def collecting(self) -> Iterator["Collector"]:
        thread = Thread(target=self._server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield self
        finally:
            self._ended.set()
            self._server.shutdown()
            thread.join()
            self._server.server_close()

    def until(self, holds: Callable[[], bool], seconds: float = 20.0) -> None:
        deadline = monotonic() + seconds
        while not holds():
            assert monotonic() < deadline, [span.name for span in self.spans]
            sleep(0.05)

    def _take(self, path: str, body: bytes) -> None:
        request = _REQUESTS[path]()
        request.ParseFromString(body)
        if path == "/v1/metrics":
            self.figures.extend(request.resource_metrics)
            return
        spans = path == "/v1/traces"
        for of in request.resource_spans if spans else request.resource_logs:
            resource = attributes(of.resource)
            for scope in of.scope_spans if spans else of.scope_logs:
                items = scope.spans if spans else scope.log_records
                sent = self.sent_spans if spans else self.sent_records
                sent.extend(Sent(item, resource) for item in items)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                collector.requests += 1
                if collector.does == "hangs":
                    collector._ended.wait()
                    return
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if collector.does == "takes":
                    collector._take(self.path, body)
                self.send_response(200 if collector.does == "takes" else 503)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None: ...

        return Handler


def attributes(of: Any) -> dict[str, Any]:
    """What a span, a link, a log record or a resource says of itself."""
    return {each.key: _value(each.value) for each in of.attributes}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(one) for one in value.array_value.values]
    return getattr(value, kind)
