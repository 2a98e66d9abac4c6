"""Token sequences to train on. Knows no tensor and no loss."""

from dataclasses import dataclass

from bus.events import Turn


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A prompt and what followed it. `logprobs` are the behaviour policy's, if it was sampled."""

    prompt: tuple[int, ...]
    completion: tuple[int, ...]
    logprobs: tuple[float, ...] = ()
    weight: float = 1.0


def row_of(turn: Turn, weight: float = 1.0) -> Row:
    return Row(
        prompt=turn.prompt_tokens, completion=turn.tokens, logprobs=turn.logprobs, weight=weight
    )
