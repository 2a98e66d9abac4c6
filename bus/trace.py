"""Trace context of events, and the names of the messaging conventions. Uses OpenTelemetry's API
alone: without an SDK contexts are still passed on, only no span is recorded.

The trace of an event follows from the event: its trace id is its correlation id, so a task, its
attempts and its judgments form one trace that is found by the task id. Only the parent span
varies: the span that made the event when that is part of this trace, else one named by the
event's own id.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanContext, SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from bus.bus import Delivery
from bus.events import Event

TRACEPARENT = "traceparent"

# Semantic conventions 1.44, messaging.
SYSTEM = "messaging.system"
OPERATION_NAME = "messaging.operation.name"
OPERATION_TYPE = "messaging.operation.type"
DESTINATION = "messaging.destination.name"
PARTITION = "messaging.destination.partition.id"
OFFSET = "messaging.kafka.offset"
MESSAGE_KEY = "messaging.kafka.message.key"
MESSAGE_ID = "messaging.message.id"
CONVERSATION_ID = "messaging.message.conversation_id"
CONSUMER_GROUP = "messaging.consumer.group.name"
ERROR_TYPE = "error.type"
EVENT_REF = "evolvent.event.ref"

_MAKERS = contexts.create_key("evolvent-makers")
_SAMPLED = "01"
_TRACER = trace.get_tracer("evolvent.bus")


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


@contextmanager
def processing(delivery: Delivery, group: str) -> Iterator[Span]:
    """A CONSUMER span, current inside: child of the span that sent the record, and linked."""
    context = extract(delivery.record.headers)
    sender = trace.get_current_span(context).get_span_context()
    links: Sequence[Link] = (Link(sender),) if sender.is_valid else ()
    span = _TRACER.start_span(
        f"process {delivery.topic}",
        context=context,
        kind=SpanKind.CONSUMER,
        attributes=_attributes(delivery, group),
        links=links,
    )
    with trace.use_span(span, end_on_exit=True):
        yield span


def _attributes(delivery: Delivery, group: str) -> dict[str, str | int]:
    record = delivery.record
    return {
        SYSTEM: "evolvent",
        OPERATION_NAME: "process",
        OPERATION_TYPE: "process",
        DESTINATION: record.topic,
        PARTITION: str(record.partition),
        OFFSET: record.offset,
        MESSAGE_KEY: record.key,
        MESSAGE_ID: record.event_id,
        CONVERSATION_ID: record.headers.get("ce_correlationid", ""),
        CONSUMER_GROUP: group,
        EVENT_REF: f"{record.topic}/{record.partition}/{record.offset}",
    }
