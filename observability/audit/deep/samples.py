"""The samples of an attempt: as many as were asked for, and of every token which version drew it;
what is learned without the hint it was drawn with is learned after the task's prompt. Knows no
tokenizer."""

from bus.events import Attempt, Turn
from observability.audit.findings import Findings


class Samples:
    """`wanted` is how many samples a task gets, None where nothing says it."""

    def __init__(self, wanted: int | None, findings: Findings) -> None:
        self._wanted = wanted
        self._findings = findings

    def check(self, attempt: Attempt, place: str) -> None:
        unaided = [sample for sample in attempt.samples if not any(map(_is_hinted, sample.turns))]
        if self._wanted is not None and len(unaided) != self._wanted:
            self._findings.gather(
                "I12",
                "{example} has another number of samples than the recipe asks for",
                "{number} attempts have other numbers of samples than the recipe asks for: "
                "{examples}",
                place,
            )
        prompts = {turn.prompt_tokens for sample in unaided for turn in sample.turns[:1]}
        turns = [turn for sample in attempt.samples for turn in sample.turns]
        if not {turn.learned_prompt for turn in turns if _is_hinted(turn)} <= prompts:
            self._findings.gather(
                "I12",
                "{example} has a sample that would be learned after another prompt than the task's",
                "{number} attempts have samples that would be learned after other prompts than "
                "their tasks': {examples}",
                place,
            )
        if not all(map(_is_whole, turns)):
            self._findings.gather(
                "I12",
                "{example} has tokens of which it does not say which version drew them, or how "
                "likely they were",
                "{number} attempts have tokens of which they do not say which version drew them, "
                "or how likely they were: {examples}",
                place,
            )


def _is_hinted(turn: Turn) -> bool:
    return turn.learned_prompt is not None


def _is_whole(turn: Turn) -> bool:
    """Spans follow each other from the first token to the last."""
    if len(turn.logprobs) != len(turn.tokens):
        return False
    reached = 0
    for span in turn.spans:
        if span.start != reached or span.end < span.start or span.version < 0:
            return False
        reached = span.end
    return reached == len(turn.tokens) or not turn.trainable
