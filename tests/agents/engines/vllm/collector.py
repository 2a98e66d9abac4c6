"""What vLLM sends to a collector, and the span that somebody asks it in."""

from typing import Any

from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from harness.collector import Collector, attributes


def of(collector: Collector, trace_id: int) -> list[Any]:
    """vLLM's spans of requests in one trace."""
    return [
        span
        for span in collector.spans
        if span.name == "llm_request" and int.from_bytes(span.trace_id, "big") == trace_id
    ]


def traces_here(collector: Collector) -> dict[str, str]:
    """What vLLM reads."""
    return {
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{collector.url}/v1/traces",
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }


def caller(trace_id: int, span_id: int) -> NonRecordingSpan:
    """The span that somebody asks in."""
    context = SpanContext(
        trace_id=trace_id, span_id=span_id, is_remote=False, trace_flags=TraceFlags(1)
    )
    return NonRecordingSpan(context)


def attribute(span: Any, name: str) -> int:
    return int(attributes(span)[name])
