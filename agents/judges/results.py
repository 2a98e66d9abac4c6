"""Verdicts as events of the GenAI conventions: a log record each, in the trace of the task. Uses
OpenTelemetry's API alone.
"""

from opentelemetry import trace
from opentelemetry._logs import LogRecord, get_logger

from bus.events import Judgment
from bus.tracing.attributes import (
    EVALUATION_EXPLANATION,
    EVALUATION_LABEL,
    EVALUATION_NAME,
    EVALUATION_RESULT,
    EVALUATION_SCORE,
    RESPONSE_ID,
    SAMPLE,
    SPAN_KIND,
)

_LOGGER = get_logger("evolvent")
_MAX_WORDS = 500


def tell(judgment: Judgment) -> None:
    """One event per verdict, where the span that judges is recorded."""
    span = trace.get_current_span()
    if not span.is_recording():
        return
    span.set_attribute(SPAN_KIND, "EVALUATOR")
    for index, verdict in enumerate(judgment.verdicts):
        attributes: dict[str, str | int | float] = {
            EVALUATION_NAME: judgment.critic,
            EVALUATION_SCORE: verdict.reward,
            EVALUATION_LABEL: "right" if verdict.right else "wrong",
            EVALUATION_EXPLANATION: verdict.reason[:_MAX_WORDS],
            RESPONSE_ID: judgment.attempt.id,
            SAMPLE: index,
        }
        _LOGGER.emit(LogRecord(event_name=EVALUATION_RESULT, attributes=attributes))
