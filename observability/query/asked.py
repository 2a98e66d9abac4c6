"""The tables of what is asked, answered and judged. Knows no Arrow and no SQL."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bus.events import Attempt, Judgment, Sample, Turn, Verdict
from bus.records import Record
from observability.query.columns import SAID, On, Table, as_json, column, events, of_event


@dataclass(frozen=True, slots=True)
class _Sampled:
    attempt: Attempt
    number: int
    sample: Sample


@dataclass(frozen=True, slots=True)
class _Taken:
    attempt: Attempt
    sample: int
    number: int
    turn: Turn


@dataclass(frozen=True, slots=True)
class _Group(On):
    """A judgment, and how many of its samples count and are right."""

    counted: int
    correct: int


@dataclass(frozen=True, slots=True)
class _Judged:
    judgment: Judgment
    sample: int
    verdict: Verdict


def _samples(record: Record, event: Any) -> Iterator[_Sampled]:
    for number, sample in enumerate(event.samples):
        yield _Sampled(event, number, sample)


def _turns(record: Record, event: Any) -> Iterator[_Taken]:
    for sampled in _samples(record, event):
        for number, turn in enumerate(sampled.sample.turns):
            yield _Taken(event, sampled.number, number, turn)


def _groups(record: Record, event: Any) -> Iterator[_Group]:
    unaided = event.unaided
    yield _Group(record, event, len(unaided), sum(verdict.right for verdict in unaided))


def _verdicts(record: Record, event: Any) -> Iterator[_Judged]:
    for number, verdict in enumerate(event.verdicts):
        yield _Judged(event, number, verdict)


def _oldest(turn: Turn) -> int | None:
    return min((span.version for span in turn.spans), default=None)


def _temperature(taken: _Taken) -> float:
    own = taken.turn.temperature
    return taken.attempt.temperature if own is None else own


def _parts(judged: _Judged) -> list[dict[str, Any]]:
    return [
        {"judge": one.provenance, "reward": one.reward, "known": one.known}
        for one in judged.verdict.combined
    ]


def _proposal(name: str) -> Any:
    def value(row: On) -> Any:
        proposal = row.event.proposal
        return None if proposal is None else getattr(proposal, name)

    return value


def _proposed(row: On) -> str | None:
    return None if row.event.proposal is None else row.event.proposal.turn.text


def _proposed_by(row: On) -> int | None:
    return None if row.event.proposal is None else _oldest(row.event.proposal.turn)


_PROPOSAL = (
    column("proposal", "text", _proposed),
    column("proposed_by", "whole", _proposed_by),
    column("draw", "text", _proposal("draw")),
)
_GRANTED = of_event(("weights_version", "whole"), ("granted_by", "text"))

ASKED = (
    Table(
        name="tasks",
        about="Problems that were asked, and the version that granted each.",
        topics=("tasks",),
        rows=events,
        columns=(
            *SAID,
            *of_event(("domain", "text"), ("family", "text"), ("level", "whole")),
            *of_event(("prompt", "text"), ("question", "text"), ("answer", "text")),
            column("metadata", "text", lambda row: as_json(row.event.metadata)),
            *_GRANTED,
            *of_event(("source", "text")),
            *_PROPOSAL,
        ),
    ),
    Table(
        name="refusals",
        about="Proposals that the task gate did not admit, and why.",
        topics=("refusals",),
        rows=events,
        columns=(*SAID, *of_event(("reason", "text")), *_GRANTED, *_PROPOSAL),
    ),
    Table(
        name="attempts",
        about="Groups of samples, one group a task; `oldest_version` drew some of it.",
        topics=("attempts",),
        rows=events,
        columns=(
            *SAID,
            column("task", "text", "event.task.id"),
            *of_event(("temperature", "real"), ("oldest_version", "whole")),
            column("samples", "whole", lambda row: len(row.event.samples)),
            *of_event(("memory", "whole")),
        ),
    ),
    Table(
        name="samples",
        about="One answer each, by attempt and number.",
        topics=("attempts",),
        rows=_samples,
        columns=(
            column("attempt", "text", "attempt.id"),
            column("task", "text", "attempt.task.id"),
            column("sample", "whole", "number"),
            column("answer", "text", "sample.answer"),
            column("ended", "truth", "sample.ended"),
            column("turns", "whole", lambda row: len(row.sample.turns)),
            column("tokens", "whole", "sample.num_tokens"),
            column("oldest_version", "whole", "sample.oldest_version"),
            column("hinted", "truth", "sample.hinted"),
        ),
    ),
    Table(
        name="turns",
        about="What a model read and said, with tokens, log-probabilities and versions.",
        topics=("attempts",),
        rows=_turns,
        columns=(
            column("attempt", "text", "attempt.id"),
            column("task", "text", "attempt.task.id"),
            column("sample", "whole"),
            column("turn", "whole", "number"),
            column("text", "text", "turn.text"),
            column("finish_reason", "text", "turn.finish_reason"),
            column("seat", "text", "turn.seat"),
            column("policy", "text", "turn.policy"),
            column("trainable", "truth", "turn.trainable"),
            column("temperature", "real", _temperature),
            column("top_p", "real", "turn.top_p"),
            column("top_k", "whole", "turn.top_k"),
            column("oldest_version", "whole", lambda row: _oldest(row.turn)),
            column("prompt_tokens", "tokens", "turn.prompt_tokens"),
            column("tokens", "tokens", "turn.tokens"),
            column("logprobs", "logprobs", "turn.logprobs"),
            column("learned_prompt", "tokens", "turn.learned_prompt"),
            column(
                "spans",
                "spans",
                lambda row: [span.model_dump() for span in row.turn.spans],
            ),
        ),
    ),
    Table(
        name="judgments",
        about="Attempts that were judged; `correct` of `counted` samples, those without a hint.",
        topics=("judgments",),
        rows=_groups,
        columns=(
            *SAID,
            column("attempt", "text", "event.attempt.id"),
            column("task", "text", "event.attempt.task.id"),
            column("family", "text", "event.attempt.task.family"),
            column("level", "whole", "event.attempt.task.level"),
            column("granted_version", "whole", "event.attempt.task.weights_version"),
            column("oldest_version", "whole", "event.attempt.oldest_version"),
            *of_event(("critic", "text"), ("critic_version", "whole")),
            column("counted", "whole"),
            column("correct", "whole"),
            column("success", "real", lambda row: row.correct / (row.counted or 1)),
        ),
    ),
    Table(
        name="verdicts",
        about="What a critic says of one sample; `parts` are those it was made of.",
        topics=("judgments",),
        rows=_verdicts,
        columns=(
            column("judgment", "text", "judgment.id"),
            column("attempt", "text", "judgment.attempt.id"),
            column("task", "text", "judgment.attempt.task.id"),
            column("sample", "whole"),
            column("reward", "real", "verdict.reward"),
            column("correct", "truth", "verdict.right"),
            column("known", "truth", "verdict.known"),
            column("reason", "text", "verdict.reason"),
            column("judge", "text", "verdict.provenance"),
            column("scores", "reals", "verdict.scores"),
            column("seats", "reals", "verdict.seats"),
            column("parts", "parts", _parts),
        ),
    ),
)
