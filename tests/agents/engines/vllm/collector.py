"""A receiver of spans: OTLP as protobuf over HTTP, on a free port of loopback."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from threading import Thread
from time import monotonic, sleep
from typing import Any

from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags


class Collector:
    """`environment` sends a process's spans here; `spans` are those that came."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.environment = {
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": (
                f"http://127.0.0.1:{self._server.server_port}/v1/traces"
            ),
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
        }

    @contextmanager
    def collecting(self) -> Iterator["Collector"]:
        thread = Thread(target=self._server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()

    def of(self, trace_id: int) -> list[Any]:
        """vLLM's spans of requests in one trace."""
        return [
            span
            for span in self.spans
            if span.name == "llm_request" and int.from_bytes(span.trace_id, "big") == trace_id
        ]

    def until(self, holds: Callable[[], bool], seconds: float = 20.0) -> None:
        deadline = monotonic() + seconds
        while not holds():
            assert monotonic() < deadline, [span.name for span in self.spans]
            sleep(0.05)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        # Only vLLM brings it.
        wire: Any = import_module("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
        spans = self.spans

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                sent = wire.ExportTraceServiceRequest()
                sent.ParseFromString(self.rfile.read(int(self.headers["Content-Length"])))
                for resource in sent.resource_spans:
                    for scope in resource.scope_spans:
                        spans.extend(scope.spans)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None: ...

        return Handler


def caller(trace_id: int, span_id: int) -> NonRecordingSpan:
    """The span that somebody asks in."""
    context = SpanContext(
        trace_id=trace_id, span_id=span_id, is_remote=False, trace_flags=TraceFlags(1)
    )
    return NonRecordingSpan(context)


def attribute(span: Any, name: str) -> int:
    [found] = [each.value.int_value for each in span.attributes if each.key == name]
    return int(found)
