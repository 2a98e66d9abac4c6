"""Sets OpenTelemetry's SDK up for one process, as the environment asks. Loads the SDK.

    spans, log records -> an outbox each -> a collector, a file        figures -> `measure`

Nothing here holds a role up: what a collector does not take is lost, counted, and said once.
"""

import logging
import os
import socket
from collections.abc import Callable, Sequence
from typing import Any

from opentelemetry import _logs, metrics, trace
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor
from opentelemetry.sdk._logs.export import LogRecordExportResult
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult

from observability.telemetry.file import TraceFile
from observability.telemetry.logs import LogHandler
from observability.telemetry.outbox import Outbox
from observability.telemetry.sampler import GivenIds, ShareOfTasks
from observability.telemetry.wanted import Wanted

MAX_LINKS = 65_536
"""Of one span: a step names every judgment that it learned from."""

CLOSE_SECONDS = 3
"""So long the end of a process waits for a collector, unless OTEL_BSP_EXPORT_TIMEOUT says more or
less."""

_LOGGERS = ("evolvent", "trainer", "agents", "bus", "observability")


class Telemetry:
    """What one process exports. `resource` says which: of a `run`, a process with a `name`, which
    replays something where a `replay` is named."""

    def __init__(self, wanted: Wanted, run: str, name: str, replay: str = "") -> None:
        # What its exporters say of a collector that is away is said once, by an outbox.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        self.resource = resource(run, name, replay)
        self._file = None if wanted.file is None else TraceFile(wanted.file)
        self._outboxes: list[Outbox[Any]] = []
        self._meters: MeterProvider | None = None
        self._handler: LogHandler | None = None
        if wanted.traces or wanted.file is not None:
            self._trace(wanted)
        if wanted.logs or wanted.file is not None:
            self._log(wanted)

    @property
    def lost(self) -> int:
        """How many spans and log records have found no room, or were not taken."""
        return sum(outbox.lost for outbox in self._outboxes)

    def measure(self, readers: Sequence[MetricReader], views: Sequence[Any] = ()) -> None:
        """Let the figures of this process, and those of the SDK, be read by `readers`."""
        self._meters = MeterProvider(
            metric_readers=readers, resource=self.resource, views=views, shutdown_on_exit=False
        )
        metrics.set_meter_provider(self._meters)

    def close(self) -> None:
        """Send what waits, for some seconds at most."""
        seconds = _number("OTEL_BSP_EXPORT_TIMEOUT", 1000 * CLOSE_SECONDS) / 1e3
        if self._handler is not None:
            for name in _LOGGERS:
                logging.getLogger(name).removeHandler(self._handler)
        share = seconds / (len(self._outboxes) + (self._meters is not None) or 1)
        if self._meters is not None:
            self._meters.shutdown(timeout_millis=1e3 * share)
        for outbox in self._outboxes:
            outbox.close(share)
        if self._file is not None:
            self._file.close()

    def _trace(self, wanted: Wanted) -> None:
        provider = TracerProvider(
            sampler=ShareOfTasks(wanted.share),
            resource=self.resource,
            shutdown_on_exit=False,
            id_generator=GivenIds(),
            span_limits=SpanLimits(max_links=MAX_LINKS),
        )
        if wanted.traces:
            exporter = OTLPSpanExporter()

            def send(spans: Sequence[ReadableSpan]) -> bool:
                return exporter.export(spans) is SpanExportResult.SUCCESS

            provider.add_span_processor(_Spans(self._outbox("spans", send, exporter.shutdown)))
        if (file := self._file) is not None:

            def write(spans: Sequence[ReadableSpan]) -> bool:
                file.write(encode_spans(spans))
                return True

            provider.add_span_processor(_Spans(self._outbox("spans in a file", write)))
        trace.set_tracer_provider(provider)

    def _log(self, wanted: Wanted) -> None:
        provider = LoggerProvider(resource=self.resource, shutdown_on_exit=False)
        if wanted.logs:
            exporter = OTLPLogExporter()

            def send(records: Sequence[Any]) -> bool:
                return exporter.export(records) is LogRecordExportResult.SUCCESS

            outbox = self._outbox("log records", send, exporter.shutdown)
            provider.add_log_record_processor(_Records(outbox))
        if (file := self._file) is not None:

            def write(records: Sequence[Any]) -> bool:
                file.write(encode_logs(records))
                return True

            outbox = self._outbox("log records in a file", write)
            provider.add_log_record_processor(_Records(outbox))
        _logs.set_logger_provider(provider)
        self._handler = LogHandler(provider)
        for name in _LOGGERS:
            logging.getLogger(name).addHandler(self._handler)

    def _outbox(
        self,
        what: str,
        send: Callable[[Sequence[Any]], bool],
        give_up: Callable[[], None] = lambda: None,
    ) -> Outbox[Any]:
        outbox = Outbox(
            what,
            send,
            give_up,
            room=_number("OTEL_BSP_MAX_QUEUE_SIZE", 4096),
            most=_number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512),
            pause_seconds=_number("OTEL_BSP_SCHEDULE_DELAY", 5000) / 1e3,
        )
        self._outboxes.append(outbox)
        return outbox


def resource(run: str, name: str, replay: str = "") -> Resource:
    """Who exports: what the environment says of it (OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES)
    comes first."""
    ours = {
        "service.namespace": "evolvent",
        "service.name": name,
        "service.instance.id": f"{socket.gethostname()}-{os.getpid()}",
        "evolvent.run.id": run,
        # By which Phoenix tells projects apart.
        "openinference.project.name": run,
    }
    if replay:
        ours["evolvent.replay.id"] = replay
    return Resource.create().merge(Resource(ours)).merge(OTELResourceDetector().detect())


class _Spans(SpanProcessor):
    def __init__(self, outbox: Outbox[ReadableSpan]) -> None:
        self._outbox = outbox

    def on_end(self, span: ReadableSpan) -> None:
        self._outbox.put(span)


class _Records(LogRecordProcessor):
    def __init__(self, outbox: Outbox[Any]) -> None:
        self._outbox = outbox

    def on_emit(self, log_record: Any) -> None:
        self._outbox.put(log_record)

    def shutdown(self) -> None:
        """The outbox is closed by whoever made it."""

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return True


def _number(variable: str, otherwise: int) -> int:
    text = os.environ.get(variable, "")
    return int(text) if text.isdigit() and int(text) > 0 else otherwise
