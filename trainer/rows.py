"""Token sequences to train on. Knows no tensor and no loss."""

from dataclasses import dataclass

from bus.events import Attempt, Turn


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A prompt and what followed it. `logprobs` are the behaviour policy's, if it was sampled;
    `temperature` is what its logits, and those of every model that is compared with it, are divided
    by. `group` and `sample` number, within a batch, the task and the answer that it is a turn of,
    where a loss holds whole answers against each other."""

    prompt: tuple[int, ...]
    completion: tuple[int, ...]
    logprobs: tuple[float, ...] = ()
    weight: float = 1.0
    temperature: float = 1.0
    group: int = 0
    sample: int = 0


def row_of(turn: Turn, weight: float = 1.0) -> Row:
    """A turn whose text is learned, by the model as it is published: at temperature 1. Where it is
    to be learned after another prompt than it was sampled after, it has no behaviour policy."""
    if turn.learned_prompt is not None:
        return Row(prompt=turn.learned_prompt, completion=turn.tokens, weight=weight)
    return Row(
        prompt=turn.prompt_tokens, completion=turn.tokens, logprobs=turn.logprobs, weight=weight
    )


def sampled_row(attempt: Attempt, turn: Turn, weight: float = 1.0) -> Row:
    """A turn of an attempt to be compared with its behaviour policy, at the temperature it was
    sampled at. Raises `ValueError` where some tokens could not have been drawn, or the turn was
    sampled after another prompt: what the learner would compare with is another distribution."""
    if turn.learned_prompt is not None:
        raise ValueError(
            f"attempt {attempt.id} has a turn that is learned after another prompt than it was "
            "sampled after: no ratio to what it was drawn from can be formed"
        )
    return _compared(turn, weight, attempt.temperature_of(turn), f"attempt {attempt.id}")


def proposed_row(turn: Turn, weight: float) -> Row:
    """The same of a turn in the proposer's role."""
    return _compared(turn, weight, turn.temperature or 1.0, "a proposal")


def _compared(turn: Turn, weight: float, temperature: float, what: str) -> Row:
    if not turn.whole:
        raise ValueError(
            f"{what} was sampled with top_p = {turn.top_p:g}, top_k = {turn.top_k}: "
            "no ratio to what it was drawn from can be formed; sample with top_p = 1 and top_k = 0"
        )
    return Row(
        prompt=turn.prompt_tokens,
        completion=turn.tokens,
        logprobs=turn.logprobs,
        weight=weight,
        temperature=temperature,
    )
