"""What an event taught: the versions that learned from it, those that stand on them, and the
evaluations that followed. Knows no screen."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bus.log import Log
from observability.lineage.chain import Chain
from observability.lineage.course import Consumer, Course, evaluations


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The held-out accuracy of a version that stands on what was taught."""

    version: int
    held_out: float
    seen: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Learner:
    """A version that consumed the event: whether it learned from it (None: not known), and how many
    versions stand on it, up to `newest`."""

    version: int
    id: str
    learned: bool | None
    reason: str
    descendants: int
    newest: int
    evaluations: tuple[Measured, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Taught:
    """What came of the event `id`. `attempt` and `judgment` are None where there are none yet;
    `letters` are the dead letters about it."""

    id: str
    type: str
    task: str
    attempt: str | None
    judgment: str | None
    letters: tuple[str, ...]
    learners: tuple[Learner, ...]


def taught(log: Log, run: Path, event_id: str, chain: Chain | None = None) -> Taught:
    """What the event of an id taught the versions of the run in a folder. Raises `UnknownEvent`.
    Who has the log's `chain` gives it."""
    course = Course(log, event_id)
    chain = chain or Chain(log)
    measured = [
        (one.weights, Measured(version=one.weights_version, held_out=one.held_out, seen=one.seen))
        for one in evaluations(log)
    ]
    asked = next((one for one in course.said if one.event.id == event_id), course.task)
    return Taught(
        id=event_id,
        type=asked.event.type(),
        task=course.task.event.id,
        attempt=None if course.attempt is None else course.attempt.event.id,
        judgment=None if course.judgment is None else course.judgment.event.id,
        letters=tuple(letter.event.id for letter in course.letters()),
        learners=tuple(_learner(chain, one, measured) for one in course.consumers(chain, run)),
    )


def _learner(chain: Chain, consumer: Consumer, measured: Sequence[tuple[str, Measured]]) -> Learner:
    link = consumer.link
    later = chain.descendants(link)
    standing = {link.id, *(one.id for one in later)}
    return Learner(
        version=link.number,
        id=link.id,
        learned=consumer.learned,
        reason=consumer.reason,
        descendants=len(later),
        newest=max((one.number for one in later), default=link.number),
        evaluations=tuple(one for weights, one in measured if weights in standing),
    )
