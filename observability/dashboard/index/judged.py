"""What an index keeps of a judgment: a row of numbers. Of its body no more is parsed than that.
Knows no file."""

from array import array
from base64 import b64decode
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from sys import byteorder
from typing import Any

from pydantic import TypeAdapter

from bus.events import is_right


@dataclass(frozen=True, slots=True)
class Span:
    version: int


@dataclass(frozen=True, slots=True)
class Turn:
    text: str
    logprobs: str
    spans: list[Span]
    trainable: bool = True
    learned_prompt: Any = None


@dataclass(frozen=True, slots=True)
class Proposal:
    turn: Turn


@dataclass(frozen=True, slots=True)
class Asked:
    """A task."""

    id: str
    agent: str
    created_at: datetime
    family: str
    level: int
    prompt: str
    question: str
    answer: str
    weights_version: int
    source: str
    proposal: Proposal | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    turns: list[Turn]


@dataclass(frozen=True, slots=True)
class Attempted:
    agent: str
    created_at: datetime
    task: Asked
    samples: list[Sample]


@dataclass(frozen=True, slots=True)
class Verdict:
    reward: float
    provenance: str
    known: bool = True
    combined: list["Verdict"] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Judged:
    created_at: datetime
    attempt: Attempted
    verdicts: list[Verdict]
    critic: str


ASKED: TypeAdapter[Asked] = TypeAdapter(Asked)
JUDGED: TypeAdapter[Judged] = TypeAdapter(Judged)


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """Of a judged group; those of `counted` samples leave out what was drawn with a hint. `nats`
    are the summed -log p of `tokens`; `judges` have (verdicts, sum, sum of squares) by name."""

    samples: int
    counted: int
    correct: int
    reward: float | None
    low: float | None
    high: float | None
    versions: list[int]
    oldest: int | None
    tokens: int
    nats: float
    answers: int
    agreed: int
    compared: int
    judges: dict[str, tuple[int, float, float]]


def numbers_of(judged: Judged) -> Numbers:
    samples = judged.attempt.samples
    plain = [
        verdict.reward
        for sample, verdict in zip(samples, judged.verdicts, strict=False)
        if all(turn.learned_prompt is None for turn in sample.turns)
    ]
    turns = [turn for sample in samples for turn in sample.turns]
    tokens, nats = _likelihood(turns)
    compared = [one for one in judged.verdicts if len(_known(one.combined)) > 1]
    learned = [span.version for turn in turns if turn.trainable for span in turn.spans]
    return Numbers(
        samples=len(samples),
        counted=len(plain),
        correct=sum(map(is_right, plain)),
        reward=sum(plain) / len(plain) if plain else None,
        low=min(plain, default=None),
        high=max(plain, default=None),
        versions=sorted({span.version for turn in turns for span in turn.spans}),
        oldest=min(learned, default=None),
        tokens=tokens,
        nats=nats,
        answers=len({sample.turns[-1].text for sample in samples if sample.turns}),
        agreed=sum(
            len({is_right(one.reward) for one in _known(v.combined)}) == 1 for v in compared
        ),
        compared=len(compared),
        judges=_judges(judged.verdicts),
    )


def proposed_by(task: Asked) -> int | None:
    """The version that wrote it, where one did."""
    spans = task.proposal.turn.spans if task.proposal else []
    return min((span.version for span in spans), default=None)


def _known(verdicts: Iterable[Verdict]) -> list[Verdict]:
    return [one for one in verdicts if one.known]


def _judges(verdicts: Iterable[Verdict]) -> dict[str, tuple[int, float, float]]:
    found: dict[str, tuple[int, float, float]] = {}
    for verdict in verdicts:
        for one in _known((verdict, *verdict.combined)):
            number, total, squares = found.get(one.provenance, (0, 0.0, 0.0))
            found[one.provenance] = number + 1, total + one.reward, squares + one.reward**2
    return found


def _likelihood(turns: Iterable[Turn]) -> tuple[int, float]:
    tokens, nats = 0, 0.0
    for turn in turns:
        logprobs = array("f", b64decode(turn.logprobs))
        if byteorder == "big":
            logprobs.byteswap()
        tokens += len(logprobs)
        nats -= sum(logprobs)
    return tokens, nats
