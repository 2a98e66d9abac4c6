"""Trace context of events. Uses OpenTelemetry's API alone: without an SDK contexts are still
passed on, only no span is recorded.

The trace of an event follows from the event: its trace id is its correlation id, so a task, its
attempts and its judgments form one trace that is found by the task id. Only the parent span
varies: the span that made the event when that is part of this trace, else one named by the
event's own id.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanContext
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from bus.events import Event

TRACEPARENT = "traceparent"

_MAKERS = contexts.create_key("evolvent-makers")
_SAMPLED = "01"


def trace_id(event: Event) -> str:
    """The trace that an event belongs to: 32 hex digits."""
    return event.correlation


def span_id(event: Event) -> str:
    """The span that stands for an event made outside of its own trace: 16 hex digits."""
    return event.id[-16:]


def inject(event: Event, headers: dict[str, str]) -> None:
    """Set `traceparent` (W3C trace context, version 00)."""
    makers = contexts.get_value(_MAKERS)
    maker = makers.get(event.id) if isinstance(makers, dict) else None
    if maker is None:
        maker = trace.get_current_span().get_span_context()
    belongs_to = trace_id(event)
    if maker.is_valid and format(maker.trace_id, "032x") == belongs_to:
        headers[TRACEPARENT] = f"00-{belongs_to}-{maker.span_id:016x}-{maker.trace_flags:02x}"
    else:
        headers[TRACEPARENT] = f"00-{belongs_to}-{span_id(event)}-{_SAMPLED}"


def extract(headers: Mapping[str, str]) -> Context:
    """The context to continue a trace in; an empty one if there is no valid `traceparent`."""
    return TraceContextTextMapPropagator().extract(headers, context=Context())


@contextmanager
def made_by(makers: Mapping[str, SpanContext]) -> Iterator[None]:
    """Inside, events are injected with the spans that made them, named by event id.

    For results of several spans that are committed together.
    """
    token = contexts.attach(contexts.set_value(_MAKERS, dict(makers)))
    try:
        yield
    finally:
        contexts.detach(token)
