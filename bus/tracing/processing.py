"""The spans of one delivery that a group works on: that it is processed, and that the agent is
asked. Uses OpenTelemetry's API alone. Knows no role.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from random import getrandbits

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.trace import Link, Span, SpanContext, SpanKind

from bus.events import Event
from bus.records import Delivery
from bus.topics import DEAD_SUFFIX
from bus.tracing.attributes import (
    AGENT_NAME,
    AGENT_VERSION,
    CONSUMER_GROUP,
    CONVERSATION_ID,
    DESTINATION,
    EVENT_REF,
    MESSAGE_CONVERSATION_ID,
    MESSAGE_ID,
    MESSAGE_KEY,
    OFFSET,
    OPERATION,
    OPERATION_NAME,
    OPERATION_TYPE,
    PARTITION,
    SESSION_ID,
    SYSTEM,
)
from bus.tracing.context import OF_A_TASK, TASK_TOPICS, TRACER, extract, sender, start

MAX_CALLS = 100
"""Of one agent's span: nobody reads a longer trace, and viewers break on it."""

_CALLS = contexts.create_key("evolvent-calls")


@contextmanager
def processing(delivery: Delivery, group: str) -> Iterator[Span]:
    """A CONSUMER span, current inside: child of the span that sent the record, and linked."""
    context = extract(delivery.record.headers)
    sender = trace.get_current_span(context).get_span_context()
    if delivery.topic.removesuffix(DEAD_SUFFIX) in TASK_TOPICS:
        context = contexts.set_value(OF_A_TASK, True, context)
    span = TRACER.start_span(
        f"process {delivery.topic}",
        context=context,
        kind=SpanKind.CONSUMER,
        links=(Link(sender),) if sender.is_valid else (),
    )
    if span.is_recording():
        span.set_attributes(_attributes(delivery, group))
    with trace.use_span(span, end_on_exit=True):
        yield span


@contextmanager
def invoking(agent: str, delivery: Delivery) -> Iterator[None]:
    """The span of an agent at work on a delivery, if that is recorded; current inside."""
    if not trace.get_current_span().is_recording():
        yield
        return
    headers = delivery.record.headers
    conversation = headers.get("ce_correlationid", "")
    attributes = {
        OPERATION: "invoke_agent",
        AGENT_NAME: agent,
        AGENT_VERSION: headers.get("ce_modelversion", ""),
        CONVERSATION_ID: conversation,
        SESSION_ID: conversation,
    }
    token = contexts.attach(contexts.set_value(_CALLS, count()))
    try:
        with TRACER.start_as_current_span(f"invoke_agent {agent}", attributes=attributes):
            yield
    finally:
        contexts.detach(token)


@contextmanager
def replaying(event: Event, name: str) -> Iterator[None]:
    """Around what a replay does about an event once more: a trace of its own, recorded where that
    of the event's task was, and linked to it."""
    sent = sender(event.correlation, event.id)
    again = SpanContext(
        getrandbits(64) << 64 | sent.trace_id & (1 << 64) - 1, getrandbits(64), is_remote=False
    )
    with trace.use_span(start(name, again, of_a_task=True, links=(Link(sent),)), end_on_exit=True):
        yield


def may_call() -> bool:
    """Whether a call inside of an agent's span has a span of its own: the first ones do."""
    calls = contexts.get_value(_CALLS)
    return not isinstance(calls, count) or next(calls) < MAX_CALLS


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
        MESSAGE_CONVERSATION_ID: record.headers.get("ce_correlationid", ""),
        CONSUMER_GROUP: group,
        EVENT_REF: f"{record.topic}/{record.partition}/{record.offset}",
    }
