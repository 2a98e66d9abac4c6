"""Which traces are kept, and which ids their spans bear: both follow from events, so that all
processes of a run, and whoever replays it, agree without a word. Knows no exporter.
"""

from collections.abc import Sequence

from opentelemetry import trace
from opentelemetry.context import Context, get_value
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import Link, SpanKind, TraceState
from opentelemetry.util.types import Attributes

from bus.tracing.context import IDS, OF_A_TASK

_LOW_BITS = (1 << 64) - 1


def is_kept(trace_id: int, share: float) -> bool:
    """Whether a task's trace is among the `share` that are kept. A larger share keeps all that a
    smaller one does. The trace id is a hash of the run and the task."""
    return trace_id & _LOW_BITS < round(share * (_LOW_BITS + 1))


class ShareOfTasks(Sampler):
    """Keeps a share of the tasks, and every trace of a version: its step, its publication, its
    swaps. A span in another one of this process is kept with it, and so is what others ask for."""

    def __init__(self, share: float) -> None:
        self._share = share

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        parent = trace.get_current_span(parent_context).get_span_context()
        if parent.is_valid and not parent.is_remote:
            kept = parent.trace_flags.sampled
        elif get_value(OF_A_TASK, parent_context):
            kept = is_kept(trace_id, self._share)
        else:
            kept = not parent.is_valid or parent.trace_flags.sampled
        if not kept:
            return SamplingResult(Decision.DROP)
        return SamplingResult(Decision.RECORD_AND_SAMPLE, attributes)

    def get_description(self) -> str:
        return f"ShareOfTasks{{{self._share}}}"


class GivenIds(RandomIdGenerator):
    """The ids that `bus.tracing.context.start` gives to a span, else random ones."""

    def generate_trace_id(self) -> int:
        ids = get_value(IDS)
        return ids[0] if isinstance(ids, tuple) else super().generate_trace_id()

    def generate_span_id(self) -> int:
        ids = get_value(IDS)
        return ids[1] if isinstance(ids, tuple) else super().generate_span_id()

    def is_trace_id_random(self) -> bool:
        return False
