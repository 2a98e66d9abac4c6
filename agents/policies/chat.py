"""The span of one call of an engine, named by the GenAI conventions. Uses OpenTelemetry's API
alone; nothing is put together for what is not recorded.
"""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind

from agents.engines.engine import Prompt, messages_of
from bus.events import Turn
from bus.tracing.attributes import (
    CAPTURE_CONTENT,
    FINISH_REASONS,
    INPUT_MESSAGES,
    INPUT_TOKENS,
    OLDEST_VERSION,
    OPERATION,
    OUTPUT_MESSAGES,
    OUTPUT_TOKENS,
    POLICY,
    PROVIDER,
    REQUEST_CHOICES,
    REQUEST_MAX_TOKENS,
    REQUEST_MODEL,
    REQUEST_TEMPERATURE,
    REQUEST_TOP_P,
    RESPONSE_MODEL,
    SEAT,
    WEIGHTS_VERSION,
)
from bus.tracing.context import TRACER
from bus.tracing.processing import may_call

Answered = Callable[[Sequence[Turn]], None]
"""Hears what a model has said."""


@contextmanager
def chatting(
    model: str, policy: str, prompt: Prompt, n: int, max_tokens: int
) -> Iterator[Answered]:
    """Around `n` answers of a `model` that is called so before it learned anything."""
    if not trace.get_current_span().is_recording() or not may_call():
        yield _unheard
        return
    attributes: dict[str, str | int] = {
        OPERATION: "chat",
        PROVIDER: "evolvent",
        REQUEST_MODEL: model,
        REQUEST_CHOICES: n,
        REQUEST_MAX_TOKENS: max_tokens,
        POLICY: policy,
    }
    name = f"chat {model}"
    with TRACER.start_as_current_span(name, kind=SpanKind.CLIENT, attributes=attributes) as span:
        yield lambda turns: _answered(span, model, prompt, turns)


def _unheard(turns: Sequence[Turn]) -> None:
    """Nobody asks."""


def _answered(span: Span, model: str, prompt: Prompt, turns: Sequence[Turn]) -> None:
    versions = [one.version for turn in turns for one in turn.spans]
    newest = max(versions, default=-1)
    first = turns[0]
    span.set_attributes(
        {
            RESPONSE_MODEL: f"{model}@v{newest}",
            WEIGHTS_VERSION: newest,
            OLDEST_VERSION: min(versions, default=-1),
            REQUEST_TOP_P: first.top_p,
            INPUT_TOKENS: len(first.prompt_tokens),
            OUTPUT_TOKENS: sum(len(turn.tokens) for turn in turns),
            FINISH_REASONS: [turn.finish_reason for turn in turns],
        }
    )
    if first.temperature is not None:
        span.set_attribute(REQUEST_TEMPERATURE, first.temperature)
    if first.seat:
        span.set_attribute(SEAT, first.seat)
    if os.environ.get(CAPTURE_CONTENT, "").lower() in ("true", "1", "span_only", "span_and_event"):
        span.set_attributes(
            {INPUT_MESSAGES: _asked(prompt), OUTPUT_MESSAGES: _said(turns)},
        )


def _asked(prompt: Prompt) -> str:
    messages = [
        {"role": one.role, "parts": [{"type": "text", "content": one.text}]}
        for one in messages_of(prompt)
    ]
    return json.dumps(messages)


def _said(turns: Sequence[Turn]) -> str:
    messages = [
        {
            "role": "assistant",
            "parts": [{"type": "text", "content": turn.text}],
            "finish_reason": turn.finish_reason,
        }
        for turn in turns
    ]
    return json.dumps(messages)
