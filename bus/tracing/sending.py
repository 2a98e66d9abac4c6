"""The spans of what a group sends, from the answer of its role to the commit. Uses OpenTelemetry's
API alone; without an SDK, and for what is not sampled, none is made.

    task       invoke_workflow evolve_task        from the task to its judgment, or its dead letter
                 |- invoke_agent proposer         link: who was asked for tasks
                 |    '- send tasks
                 '- ...  send attempts, send judgments: children of the span that made them
    any other  send curricula, gate - send promotions, ...      links: who made it, and of what
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import time_ns

from opentelemetry.trace import Link, Span, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from bus.events import Attempt, Control, Event, Judgment, Promotion, Task
from bus.topics import DEAD_SUFFIX
from bus.tracing.attributes import (
    AGENT_NAME,
    CONVERSATION_ID,
    DESTINATION,
    DOMAIN,
    ERROR_TYPE,
    FAMILY,
    GATE_DECISION,
    GATE_REASONS,
    LEVEL,
    MESSAGE_CONVERSATION_ID,
    MESSAGE_ID,
    MESSAGE_KEY,
    OPERATION,
    OPERATION_NAME,
    OPERATION_TYPE,
    REWARD,
    SESSION_ID,
    SPAN_KIND,
    SYSTEM,
    WEIGHTS_VERSION,
    WORKFLOW_NAME,
)
from bus.tracing.context import TASK_TOPICS, made_by, root, sender, start, trace_id

WORKFLOW = "evolve_task"


@dataclass(frozen=True, slots=True, kw_only=True)
class Making:
    """Who made some events, and when it began, in nanoseconds; whether that is recorded."""

    agent: str
    maker: SpanContext
    recorded: bool
    began: int


@dataclass(slots=True)
class Sending:
    """The spans of one commit. `makers` names for every event the context that it is sent in."""

    makers: dict[str, SpanContext] = field(default_factory=dict)
    _open: list[Span] = field(default_factory=list)

    def add(self, making: Making, outputs: Sequence[Event], *, rejected: bool = False) -> None:
        for output in outputs:
            self.makers[output.id] = making.maker
            if making.recorded or rejected:
                self._send(making, output)

    def end(self, error: Exception | None = None) -> None:
        """The commit is made, or has failed."""
        for span in self._open:
            if error is not None:
                span.set_attribute(ERROR_TYPE, type(error).__name__)
                span.set_status(Status(StatusCode.ERROR, str(error)[:2000]))
            span.end()

    def _send(self, making: Making, output: Event) -> None:
        parent: SpanContext | None = making.maker
        links: tuple[Link, ...] = ()
        if int(trace_id(output), 16) != making.maker.trace_id:
            parent = _beginning(making, output)
            if parent is None:
                links = (Link(making.maker),)
        bears = sender(trace_id(output), output.id)
        if parent is not None and parent.is_valid and not parent.trace_flags.sampled:
            self.makers[output.id] = SpanContext(
                bears.trace_id, bears.span_id, is_remote=False, trace_flags=TraceFlags()
            )
            return
        span = start(
            f"send {output.channel}",
            bears,
            parent=parent,
            of_a_task=output.topic in TASK_TOPICS,
            kind=SpanKind.PRODUCER,
            links=links,
        )
        if span.is_recording():
            span.set_attributes(_attributes(output))
            self._open.append(span)
        self.makers[output.id] = span.get_span_context()


def _beginning(making: Making, output: Event) -> SpanContext | None:
    """The span that an event's own trace begins with, where it is more than that it is sent."""
    if isinstance(output, Task):
        return _proposed(making, output)
    if isinstance(output, Promotion):
        published = sender(output.weights, output.weights)
        return _gate(making.maker, published, output, output.decision, output.reasons)
    if isinstance(output, Control) and output.guard:
        return _gate(making.maker, making.maker, output, output.command, (output.reason,))
    return None


def _proposed(making: Making, task: Task) -> SpanContext:
    began = root(task.id)
    drawn = SpanContext(
        began.trace_id, began.span_id ^ (1 << 63), is_remote=False, trace_flags=TraceFlags()
    )
    span = start(
        f"invoke_agent {making.agent}",
        drawn,
        parent=began,
        of_a_task=True,
        links=(Link(making.maker),),
        start_time=making.began,
    )
    if span.is_recording():
        span.set_attributes(
            {
                OPERATION: "invoke_agent",
                AGENT_NAME: making.agent,
                CONVERSATION_ID: task.id,
                SESSION_ID: task.id,
                WEIGHTS_VERSION: task.weights_version,
            }
        )
        span.end()
    return span.get_span_context()


def _gate(
    maker: SpanContext, published: SpanContext, event: Event, decision: str, reasons: Sequence[str]
) -> SpanContext:
    """A version is let through, refused or taken back; or a guard says what follows from it."""
    with_maker = () if maker == published or not maker.is_valid else (Link(maker),)
    span = start("gate", root(event.id), links=(Link(published), *with_maker))
    if span.is_recording():
        version = getattr(event, "weights_version", None)
        span.set_attributes(
            {SPAN_KIND: "DECISION", GATE_DECISION: decision, GATE_REASONS: list(reasons)}
            | ({} if version is None else {WEIGHTS_VERSION: version})
        )
        span.end()
    return span.get_span_context()


@contextmanager
def saying(event: Event) -> Iterator[None]:
    """Around the publication of an event that no delivery has asked for."""
    making = Making(
        agent=event.agent,
        maker=SpanContext(0, 0, is_remote=False),
        recorded=True,
        began=time_ns(),
    )
    sending = Sending()
    sending.add(making, [event])
    with made_by(sending.makers):
        yield
    sending.end()


def finished(answered: Event | None, topic: str, outputs: Sequence[Event], rejected: bool) -> None:
    """The span of a whole task, where these answers are its end."""
    judgment = next((output for output in outputs if isinstance(output, Judgment)), None)
    task = _task(answered) if judgment is None else judgment.attempt.task
    dead = rejected and topic.removesuffix(DEAD_SUFFIX) in ("tasks", "attempts")
    if task is None or (judgment is None and not dead):
        return
    began = int(task.created_at.timestamp() * 1e9)
    name = f"invoke_workflow {WORKFLOW}"
    span = start(name, root(task.id), of_a_task=True, start_time=began)
    if not span.is_recording():
        return
    span.set_attributes(
        {
            OPERATION: "invoke_workflow",
            WORKFLOW_NAME: WORKFLOW,
            CONVERSATION_ID: task.id,
            SESSION_ID: task.id,
            DOMAIN: task.domain,
            FAMILY: task.family,
            LEVEL: task.level,
            WEIGHTS_VERSION: task.weights_version,
        }
    )
    if judgment is not None and judgment.verdicts:
        rewards = [verdict.reward for verdict in judgment.verdicts]
        span.set_attribute(REWARD, sum(rewards) / len(rewards))
    if dead:
        span.set_status(Status(StatusCode.ERROR, "rejected"))
    span.end()


def _task(event: Event | None) -> Task | None:
    if isinstance(event, Task):
        return event
    return event.task if isinstance(event, Attempt) else None


def _attributes(event: Event) -> dict[str, str]:
    return {
        SYSTEM: "evolvent",
        OPERATION_NAME: "send",
        OPERATION_TYPE: "send",
        DESTINATION: event.channel,
        MESSAGE_KEY: event.key,
        MESSAGE_ID: event.id,
        MESSAGE_CONVERSATION_ID: event.correlation,
    }
