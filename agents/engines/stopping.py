"""Where an answer ends because of what it says: after the first token with which its text holds one
of the texts that stop it. Knows no model.

What was drawn after that token is dropped, so the tokens left, and their log-probabilities, are
those that an engine would have drawn that stops at once.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from agents.engines.engine import Completion

Decode = Callable[[Sequence[int]], str]


def stopped(completion: Completion, stop: Sequence[str], decode: Decode) -> Completion:
    """The completion up to the first of the texts `stop`, that text included."""
    length = length_until(completion.tokens, stop, decode)
    if length is None:
        return completion
    return replace(
        completion,
        tokens=completion.tokens[:length],
        logprobs=completion.logprobs[:length],
        finish_reason="stop",
        spans=tuple(
            span.model_copy(update={"end": min(span.end, length)})
            for span in completion.spans
            if span.start < length
        ),
    )


def length_until(tokens: Sequence[int], stop: Sequence[str], decode: Decode) -> int | None:
    """How many tokens it takes until their text holds one of `stop`; None if it never does."""

    def holds(length: int) -> bool:
        text = decode(tokens[:length])
        return any(each in text for each in stop)

    if not stop or not holds(len(tokens)):
        return None
    few, enough = 0, len(tokens)
    while enough - few > 1:
        middle = (few + enough) // 2
        if holds(middle):
            enough = middle
        else:
            few = middle
    return enough


def text_before(text: str, stop: Sequence[str]) -> str:
    """The text up to the first of `stop`, which does not belong to it."""
    return text[: min((text.find(each) for each in stop if each in text), default=len(text))]
