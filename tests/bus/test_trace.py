"""Trace context: one trace per task, whoever's span is current."""

from opentelemetry import trace as spans
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, use_span

from bus.codec import encode
from bus.events import Control, Event
from bus.trace import extract, inject, made_by
from tests.bus.examples import ATTEMPT, EXAMPLES, TASK

OTHER_ID = EXAMPLES["weights"].id


def span_in(trace_id: str, span_id: int = 7) -> SpanContext:
    return SpanContext(int(trace_id, 16), span_id, is_remote=False, trace_flags=TraceFlags(1))


def traceparent(event: Event) -> str:
    headers: dict[str, str] = {}
    inject(event, headers)
    return headers["traceparent"]


def test_a_task_and_its_attempts_share_a_trace_and_weights_have_their_own() -> None:
    assert traceparent(TASK).split("-")[1] == traceparent(ATTEMPT).split("-")[1]
    start = Control(id=OTHER_ID, run="run", agent="operator", command="start")
    assert traceparent(start).split("-")[1] == OTHER_ID
    assert traceparent(TASK) == traceparent(TASK)


def test_the_current_span_is_the_parent_only_inside_the_events_own_trace() -> None:
    with use_span(NonRecordingSpan(span_in(TASK.id))):
        assert traceparent(ATTEMPT) == f"00-{TASK.id}-0000000000000007-01"
    with use_span(NonRecordingSpan(span_in(OTHER_ID))):
        assert traceparent(TASK) == f"00-{TASK.id}-{TASK.id[-16:]}-01"


def test_results_committed_together_keep_their_makers() -> None:
    first, second = ATTEMPT, EXAMPLES["weights"]
    makers = {first.id: span_in(TASK.id, 8), second.id: span_in(OTHER_ID, 9)}
    with made_by(makers):
        assert traceparent(first) == f"00-{TASK.id}-0000000000000008-01"
        assert traceparent(second) == f"00-{OTHER_ID}-0000000000000009-01"
    assert traceparent(first) == f"00-{TASK.id}-{first.id[-16:]}-01"


def test_context_is_extracted_as_it_was_injected() -> None:
    _, headers, _ = encode(TASK)
    context = spans.get_current_span(extract(headers)).get_span_context()
    assert f"{context.trace_id:032x}" == TASK.id
    assert f"{context.span_id:016x}" == TASK.id[-16:]
    assert context.is_remote
    with use_span(NonRecordingSpan(span_in(OTHER_ID))):
        assert not spans.get_current_span(extract({})).get_span_context().is_valid
