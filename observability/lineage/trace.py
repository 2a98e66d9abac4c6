"""One task through all agents, in the order of what happened, with times and versions. Knows no
screen."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bus.events import (
    Attempt,
    DeadLetter,
    Evaluation,
    Event,
    Judgment,
    Lesson,
    Refusal,
    Task,
    Weights,
)
from bus.log import Log
from observability.lineage.chain import Chain
from observability.lineage.course import Consumer, Course, Said, evaluations, found
from observability.lineage.lineage import UnknownEvent, versions_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """One event of a trace. `versions` are the numbers of those it is of, or was sampled by."""

    at: datetime
    agent: str
    type: str
    id: str
    place: str
    versions: tuple[int, ...]
    says: str


def trace(log: Log, run: Path, event_id: str, chain: Chain | None = None) -> list[Happened]:
    """What happened to the task that the event of an id belongs to, from the version that granted
    it to the first evaluation of what learned from it. Raises `UnknownEvent`. Who has the log's
    `chain` gives it."""
    course = Course(log, event_id)
    happened = [_happened(said) for said in (*_granted(log, course), *course.said)]
    happened += map(_happened, (*course.lessons(), *course.letters()))
    chain = chain or Chain(log)
    for consumer in course.consumers(chain, run):
        weights = found(log, consumer.link.id)
        happened.append(_happened(weights, _learned(consumer)))
        standing = {one.id for one in (consumer.link, *chain.descendants(consumer.link))}
        first = next((one for one in evaluations(log) if one.weights in standing), None)
        if first is not None:
            happened.append(_happened(found(log, first.id)))
    return happened


def _granted(log: Log, course: Course) -> list[Said]:
    asked = course.task.event
    try:
        return [found(log, asked.granted_by)] if isinstance(asked, Task | Refusal) else []
    except UnknownEvent:
        return []


def _learned(consumer: Consumer) -> str:
    said = {True: "learned from it", False: f"dropped it ({consumer.reason})"}
    what = "consumed it" if consumer.learned is None else said[consumer.learned]
    return f"version {consumer.link.number} {what}"


def says(said: Said) -> str:
    """What an event says in a few words; "" for one that is about no task and no version."""
    return _versions_and_words(said.event)[1]


def _happened(said: Said, says: str | None = None) -> Happened:
    versions, words = _versions_and_words(said.event)
    return Happened(
        at=said.event.created_at,
        agent=said.event.agent,
        type=said.event.type(),
        id=said.event.id,
        place=said.place,
        versions=versions,
        says=says or words,
    )


def _versions_and_words(event: Event) -> tuple[tuple[int, ...], str]:
    match event:
        case Weights():
            return (event.number,), f"version {event.number} is published and grants tasks"
        case Task():
            by = () if event.proposal is None else tuple(sorted(versions_of(event.proposal.turn)))
            how = f"by {event.source}" if event.proposal is None else f"written by version {by[0]}"
            return by or (event.weights_version,), f"asked {event.prompt!r}, {how}"
        case Refusal():
            return tuple(sorted(versions_of(event.proposal.turn))), f"refused: {event.reason}"
        case Attempt():
            turns = [turn for sample in event.samples for turn in sample.turns]
            versions = tuple(sorted({one for turn in turns for one in versions_of(turn)}))
            answers = dict.fromkeys(repr(sample.answer) for sample in event.samples)
            return versions, f"{len(event.samples)} samples: {', '.join(answers)}"
        case Judgment():
            right = sum(verdict.right for verdict in event.verdicts)
            return (), f"{right} of {len(event.verdicts)} are right, says {event.critic}"
    return _after(event)


def _after(event: Event) -> tuple[tuple[int, ...], str]:
    """Of what follows when a task was judged, or could not be."""
    match event:
        case Lesson():
            return tuple(sorted(versions_of(event.turn))), f"remembered: {event.text!r}"
        case DeadLetter():
            return (), f"{event.group} could not: {event.reason}"
        case Evaluation():
            scored = f"held out {event.held_out:.1%}, levels of the warm-up {event.seen:.1%}"
            return (event.weights_version,), f"version {event.weights_version}: {scored}"
    return (), ""
