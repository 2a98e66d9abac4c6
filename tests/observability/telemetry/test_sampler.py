"""Whoever knows a task knows whether it is traced."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.context import Context, set_value
from opentelemetry.sdk.trace.sampling import Decision, Sampler
from opentelemetry.trace import SpanContext, TraceFlags

from bus.tracing.context import OF_A_TASK, within
from observability.telemetry.sampler import ShareOfTasks, is_kept


def ids(count: int) -> list[int]:
    return [int(hashlib.sha256(str(one).encode()).hexdigest()[:32], 16) for one in range(count)]


def is_sampled(sampler: Sampler, context: Context, trace_id: int) -> bool:
    return sampler.should_sample(context, trace_id, "span").decision is Decision.RECORD_AND_SAMPLE


def parent(trace_id: int, *, remote: bool, sampled: bool) -> Context:
    flags = TraceFlags(sampled)
    return within(SpanContext(trace_id, 1, is_remote=remote, trace_flags=flags))


def test_the_share_is_that_of_the_tasks_and_all_processes_agree() -> None:
    ours, theirs = ShareOfTasks(0.1), ShareOfTasks(0.1)
    kept = 0
    for trace_id in ids(5000):
        flag = trace_id % 2 == 0
        task = set_value(OF_A_TASK, True, parent(trace_id, remote=True, sampled=flag))
        first = set_value(OF_A_TASK, True, Context())
        assert is_sampled(ours, task, trace_id) == is_sampled(theirs, first, trace_id)
        kept += is_sampled(ours, task, trace_id)
    assert 400 < kept < 600


@given(st.integers(1, 2**128 - 1), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_share_keeps_what_a_smaller_one_does(
    trace_id: int, one: float, two: float
) -> None:
    small, large = sorted((one, two))
    assert not is_kept(trace_id, small) or is_kept(trace_id, large)
    assert is_kept(trace_id, 1.0) and not is_kept(trace_id, 0.0)


def test_versions_are_always_kept_and_spans_inside_a_process_go_with_their_parent() -> None:
    none = ShareOfTasks(0.0)
    assert is_sampled(none, Context(), 7)
    assert is_sampled(none, parent(7, remote=True, sampled=True), 7)
    assert not is_sampled(none, parent(7, remote=True, sampled=False), 7)
    assert is_sampled(none, parent(7, remote=False, sampled=True), 7)
    assert not is_sampled(ShareOfTasks(1.0), parent(7, remote=False, sampled=False), 7)
