"""The span of one delivery that a group works on, named by the messaging conventions. Uses
OpenTelemetry's API alone. Knows no role.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.trace import Link, Span, SpanKind

from bus.records import Delivery
from bus.trace import extract

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

_TRACER = trace.get_tracer("evolvent.bus")


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
