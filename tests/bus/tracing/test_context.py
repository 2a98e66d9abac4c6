"""Trace context: one trace per task, whoever's span is current."""

from opentelemetry import trace as spans
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, use_span

from bus.codec import encode
from bus.events import Control, Event
from bus.tracing.context import extract, inject, made_by, sender
from tests.bus.examples import ATTEMPT, EXAMPLES, TASK

OTHER_ID = EXAMPLES["weights"].id


def span_in(trace_id: str, *, sampled: bool = True) -> SpanContext:
    return SpanContext(int(trace_id, 16), 7, is_remote=False, trace_flags=TraceFlags(sampled))


def traceparent(event: Event) -> str:
    headers: dict[str, str] = {}
    inject(event, headers)
    return headers["traceparent"]


def test_a_task_and_its_attempts_share_a_trace_and_weights_have_their_own() -> None:
    assert traceparent(TASK).split("-")[1] == traceparent(ATTEMPT).split("-")[1]
    start = Control(id=OTHER_ID, run="run", agent="operator", command="start")
    assert traceparent(start).split("-")[1] == OTHER_ID
    assert traceparent(TASK) == traceparent(TASK)


def test_the_span_that_sends_an_event_bears_its_id_whoever_is_current() -> None:
    with use_span(NonRecordingSpan(span_in(TASK.id))):
        assert traceparent(ATTEMPT) == f"00-{TASK.id}-{ATTEMPT.id[-16:]}-01"
    with use_span(NonRecordingSpan(span_in(OTHER_ID, sampled=False))):
        assert traceparent(TASK) == f"00-{TASK.id}-{TASK.id[-16:]}-01"
    sent = sender(TASK.id, ATTEMPT.id)
    assert traceparent(ATTEMPT) == f"00-{sent.trace_id:032x}-{sent.span_id:016x}-01"


def test_results_committed_together_keep_the_flags_of_their_makers() -> None:
    first, second = ATTEMPT, EXAMPLES["weights"]
    makers = {first.id: span_in(TASK.id, sampled=False), second.id: span_in(OTHER_ID)}
    with made_by(makers):
        assert traceparent(first) == f"00-{TASK.id}-{first.id[-16:]}-00"
        assert traceparent(second) == f"00-{OTHER_ID}-{OTHER_ID[-16:]}-01"
    assert traceparent(first) == f"00-{TASK.id}-{first.id[-16:]}-01"


def test_context_is_extracted_as_it_was_injected() -> None:
    _, headers, _ = encode(TASK)
    context = spans.get_current_span(extract(headers)).get_span_context()
    assert f"{context.trace_id:032x}" == TASK.id
    assert f"{context.span_id:016x}" == TASK.id[-16:]
    assert context.is_remote
    with use_span(NonRecordingSpan(span_in(OTHER_ID))):
        assert not spans.get_current_span(extract({})).get_span_context().is_valid
