"""Trace context of events. Uses OpenTelemetry's API alone: without an SDK contexts are still
passed on, only no span is recorded.

Both ids of an event's context follow from the event: the trace id is its correlation id, so a task,
its attempts and its judgments form one trace that is found by the task id; the span id, that of the
span which sends the event, is the last half of its own id. So whoever knows an event can link to
where it was sent, in another process, another day or a replay. Only the flag varies: whether the
span that made the event was sampled.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import Attributes

from bus.events import Event

TRACEPARENT = "traceparent"

IDS = contexts.create_key("evolvent-ids")
"""Both ids of the span that is being started, for the SDK's generator of ids."""

OF_A_TASK = contexts.create_key("evolvent-of-a-task")
"""True in contexts whose trace is that of one task among many, for the SDK's sampler."""

TASK_TOPICS = frozenset(("tasks", "refusals", "attempts", "lessons", "judgments"))
"""Of which there are many to a version."""

TRACER = trace.get_tracer("evolvent")

_MAKERS = contexts.create_key("evolvent-makers")
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_PROPAGATOR = TraceContextTextMapPropagator()


def trace_id(event: Event) -> str:
    """The trace that an event belongs to: 32 hex digits."""
    return event.correlation


def span_id(event: Event) -> str:
    """The span that sends an event: 16 hex digits."""
    return event.id[-16:]


def sender(correlation: str, event_id: str) -> SpanContext:
    """The context of the span that sends, or has sent, an event."""
    return SpanContext(
        int(correlation, 16), int(event_id[-16:], 16), is_remote=True, trace_flags=_SAMPLED
    )


def root(task_id: str) -> SpanContext:
    """The context of the span that a task's trace begins with."""
    return SpanContext(
        int(task_id, 16), int(task_id[:16], 16), is_remote=True, trace_flags=_SAMPLED
    )


def inject(event: Event, headers: dict[str, str]) -> None:
    """Set `traceparent` (W3C trace context, version 00)."""
    makers = contexts.get_value(_MAKERS)
    maker = makers.get(event.id) if isinstance(makers, dict) else None
    if maker is None:
        maker = trace.get_current_span().get_span_context()
    belongs_to = trace_id(event)
    own = maker.is_valid and format(maker.trace_id, "032x") == belongs_to
    flags = maker.trace_flags if own else _SAMPLED
    headers[TRACEPARENT] = f"00-{belongs_to}-{span_id(event)}-{flags:02x}"


def extract(headers: Mapping[str, str]) -> Context:
    """The context to continue a trace in; an empty one if there is no valid `traceparent`."""
    return _PROPAGATOR.extract(headers, context=Context())


@contextmanager
def made_by(makers: Mapping[str, SpanContext]) -> Iterator[None]:
    """Inside, events are injected with the flags of the spans that made them, named by event id.

    For results of several spans that are committed together.
    """
    token = contexts.attach(contexts.set_value(_MAKERS, dict(makers)))
    try:
        yield
    finally:
        contexts.detach(token)


def start(
    name: str,
    bears: SpanContext,
    *,
    parent: SpanContext | None = None,
    of_a_task: bool = False,
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: Attributes = None,
    links: Sequence[Link] = (),
    start_time: int | None = None,
) -> Span:
    """A span that bears the ids of `bears`, which is not made the current one."""
    context = Context() if parent is None else within(parent)
    if of_a_task:
        context = contexts.set_value(OF_A_TASK, True, context)
    token = contexts.attach(contexts.set_value(IDS, (bears.trace_id, bears.span_id)))
    try:
        return TRACER.start_span(
            name,
            context=context,
            kind=kind,
            attributes=attributes,
            links=links,
            start_time=start_time,
        )
    finally:
        contexts.detach(token)


def within(parent: SpanContext) -> Context:
    """A context whose spans are children of a span that this process need not hold."""
    return trace.set_span_in_context(NonRecordingSpan(parent), Context())
