"""The spans of learning: a step, which is linked to every judgment it learned from, and the
publication of its version, which is linked to the step. Uses OpenTelemetry's API alone.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanContext, SpanKind

from bus.events import Judgment, Weights
from bus.tracing.attributes import (
    BASE_VERSION,
    DESTINATION,
    DROPPED,
    MESSAGE_ID,
    METRIC,
    OPERATION_NAME,
    OPERATION_TYPE,
    POLICY,
    SYSTEM,
    TRAINED,
    WEIGHTS_VERSION,
)
from bus.tracing.context import TRACER, sender, start


@contextmanager
def stepping(parent: int, policy: str, judgments: Sequence[Judgment]) -> Iterator[Span]:
    """Around what makes the version after `parent` of these judgments."""
    span = TRACER.start_span("train_step", context=Context())
    if span.is_recording():
        span.set_attributes({BASE_VERSION: parent, WEIGHTS_VERSION: parent + 1, POLICY: policy})
        for judgment in judgments:
            span.add_link(sender(judgment.correlation, judgment.id))
    with trace.use_span(span, end_on_exit=True):
        yield span


def learned(span: Span, trained: int, dropped: int, metrics: Mapping[str, float]) -> None:
    """What a step has learned from, and its figures."""
    if span.is_recording():
        figures = {METRIC + name: value for name, value in metrics.items()}
        span.set_attributes({TRAINED: trained, DROPPED: dropped, **figures})


@contextmanager
def publishing(weights: Weights, step: SpanContext | None) -> Iterator[None]:
    """Around the commit that publishes a version."""
    links = () if step is None or not step.is_valid else (Link(step),)
    bears = sender(weights.correlation, weights.id)
    span = start("publish weights", bears, kind=SpanKind.PRODUCER, links=links)
    if span.is_recording():
        span.set_attributes(
            {
                SYSTEM: "evolvent",
                OPERATION_NAME: "publish",
                OPERATION_TYPE: "send",
                DESTINATION: weights.channel,
                MESSAGE_ID: weights.id,
                WEIGHTS_VERSION: weights.number,
                POLICY: weights.policy,
            }
        )
    with trace.use_span(span, end_on_exit=True):
        yield
