"""What a judged group says of the health of learning, in numbers. Knows events alone; the right
answer is looked at to measure, and nothing that is learned follows from it."""

from collections import Counter
from dataclasses import dataclass

from agents.judges.vote import voted
from bus.events import Judgment


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Of one group. `label` is the answer that most samples gave, "" where none ended, and
    `agreement` the share of all samples that gave it; `is_labelled` tells whether the judge took a
    label for right, `is_true` whether the label is the task's answer. `unique` is the share of
    different answers, `surprise` the sum of -log p over `tokens` tokens that were drawn, and
    `is_learnable` whether rewards differ."""

    prompt: str
    label: str
    agreement: float
    is_labelled: bool
    is_true: bool
    unique: float
    surprise: float
    tokens: int
    is_learnable: bool


def measure(judgment: Judgment, behind: str = "") -> Measured:
    """A pure function of the event. As the vote has it, answers are compared by what stands
    `behind` the last occurrence of that text, and of equally common ones the first that was seen is
    the label."""
    samples, task = judgment.attempt.samples, judgment.attempt.task
    votes = Counter(voted(sample.answer, behind) for sample in samples if sample.ended)
    label, count = votes.most_common(1)[0] if votes else ("", 0)
    turns = [turn for sample in samples for turn in sample.trainable]
    return Measured(
        prompt=task.prompt,
        label=label,
        agreement=count / max(len(samples), 1),
        is_labelled=any(verdict.right for verdict in judgment.verdicts),
        is_true=count > 0 and label == voted(task.answer, behind),
        unique=len({(one.answer, one.ended) for one in samples}) / max(len(samples), 1),
        surprise=-sum(sum(turn.logprobs) for turn in turns),
        tokens=sum(len(turn.logprobs) for turn in turns),
        is_learnable=len({verdict.reward for verdict in judgment.verdicts}) > 1,
    )
