"""The rows of data sets for other trainers, made of judgments in the order of the log. Knows no
file.

A row with a prompt as text is of a sample of one turn that was drawn after the task's own prompt:
what came before later turns stands on the log as tokens alone.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from bus.errors import Unreadable
from bus.events import FULL_REWARD, Judgment, Sample, Task, Turn, Verdict
from bus.log import Log

Row = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class Counted:
    """What has become rows and what has not, by reason."""

    judgments: int = 0
    rows: int = 0
    unreadable: int = 0
    left_out: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of data set: what its rows are, what is left out of it, what its columns hold, how
    one judgment becomes rows and how many of its samples, or groups, do not."""

    name: str
    about: str
    left_out: str
    columns: dict[str, Any]
    rows: Callable[[Judgment], tuple[list[Row], int]]


def rows_of(log: Log, kind: Kind, counted: Counted) -> Iterator[Row]:
    """Every row of a data set of a log as it is at the first call."""
    for topic, partition in sorted(heads := log.heads()):
        if topic != Judgment.topic:
            continue
        for record in log.read(topic, partition, end=heads[topic, partition]):
            try:
                event = record.event()
            except Unreadable:
                counted.unreadable += 1
                continue
            if isinstance(event, Judgment):
                rows, left_out = kind.rows(event)
                counted.judgments += 1
                counted.rows += len(rows)
                counted.left_out += left_out
                yield from rows


def _prompts(judgment: Judgment) -> tuple[list[Row], int]:
    found = [
        {"prompt": judgment.attempt.task.prompt, "completion": sample.answer}
        | _of(judgment, sample)
        for sample, verdict in _judged(judgment)
        if _is_plain(sample) and verdict.known and verdict.reward >= FULL_REWARD
    ]
    return found, len(judgment.verdicts) - len(found)


def _pairs(judgment: Judgment) -> tuple[list[Row], int]:
    ranked = sorted(
        (each for each in _judged(judgment) if _is_plain(each[0]) and each[1].known),
        key=lambda each: -each[1].reward,
    )
    if not ranked or ranked[0][1].reward == ranked[-1][1].reward:
        return [], 1
    (chosen, best), (rejected, worst) = ranked[0], ranked[-1]
    row = {
        "prompt": judgment.attempt.task.prompt,
        "chosen": chosen.answer,
        "rejected": rejected.answer,
        "chosen_reward": best.reward,
        "rejected_reward": worst.reward,
        **_of(judgment, chosen),
    }
    return [row], 0


def _groups(judgment: Judgment) -> tuple[list[Row], int]:
    attempt, task = judgment.attempt, judgment.attempt.task
    samples = [
        {
            "completion": sample.answer,
            "reward": verdict.reward,
            "known": verdict.known,
            "turns": [_turn(turn, attempt.temperature) for turn in sample.turns],
        }
        for sample, verdict in _judged(judgment)
    ]
    row = {
        "prompt": task.prompt,
        "samples": samples,
        "attempt": attempt.id,
        **_about(judgment, task),
    }
    return [row], 0


def _turn(turn: Turn, temperature: float) -> Row:
    """One turn with a version for every token."""
    return {
        "prompt_tokens": list(turn.prompt_tokens),
        "tokens": list(turn.tokens),
        "logprobs": list(turn.logprobs),
        "versions": [span.version for span in turn.spans for _ in range(span.start, span.end)],
        "text": turn.text,
        "finish_reason": turn.finish_reason,
        "temperature": temperature if turn.temperature is None else turn.temperature,
        "top_p": turn.top_p,
        "top_k": turn.top_k,
        "trainable": turn.trainable,
        "seat": turn.seat,
        "policy": turn.policy,
    }


def _judged(judgment: Judgment) -> Iterator[tuple[Sample, Verdict]]:
    return zip(judgment.attempt.samples, judgment.verdicts, strict=False)


def _is_plain(sample: Sample) -> bool:
    return len(sample.turns) == 1 and len(sample.trainable) == 1 and not sample.hinted


def _of(judgment: Judgment, sample: Sample) -> Row:
    """Where a sample is from."""
    return {**_about(judgment, judgment.attempt.task), "sampled_by": sample.oldest_version}


def _about(judgment: Judgment, task: Task) -> Row:
    return {
        "family": task.family,
        "level": task.level,
        "granted_by": task.weights_version,
        "task": task.id,
        "judgment": judgment.id,
    }


_ABOUT = {
    "family": "text",
    "level": "whole",
    "granted_by": "whole",
    "task": "text",
    "judgment": "text",
}
_OF = {**_ABOUT, "sampled_by": "whole"}
_TURN = {
    **{"prompt_tokens": ["token"], "tokens": ["token"], "logprobs": ["logprob"]},
    **{"versions": ["whole"], "text": "text", "finish_reason": "text", "temperature": "real"},
    **{"top_p": "real", "top_k": "whole", "trainable": "truth", "seat": "text", "policy": "text"},
}
_SAMPLE = {"completion": "text", "reward": "real", "known": "truth", "turns": [_TURN]}
_CHOSEN = {"chosen": "text", "rejected": "text", "chosen_reward": "real", "rejected_reward": "real"}

KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            name="prompts",
            about="A prompt and one completion that was judged right, as TRL's `SFTTrainer` reads "
            "it.",
            left_out="samples that are not right, or not of one plain turn",
            columns={"prompt": "text", "completion": "text", **_OF},
            rows=_prompts,
        ),
        Kind(
            name="pairs",
            about="A prompt with the best and the worst completion of its group, as TRL's "
            "`DPOTrainer` reads it.",
            left_out="groups whose rewards are all alike",
            columns={"prompt": "text", **_CHOSEN, **_OF},
            rows=_pairs,
        ),
        Kind(
            name="groups",
            about="A group of samples of one task: of every turn the tokens, their behaviour "
            "log-probabilities and the version that drew each.",
            left_out="groups",
            columns={"prompt": "text", "samples": [_SAMPLE], "attempt": "text", **_ABOUT},
            rows=_groups,
        ),
    )
}
"""The data sets that a log can be exported as."""
