"""What came of one task: its attempt, its judgment, the dead letters about them, the versions that
consumed it. Knows no screen.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from agents.critic import AGENT as CRITIC
from agents.solver import AGENT as SOLVER
from bus.errors import Unreadable
from bus.events import (
    Attempt,
    DeadLetter,
    Evaluation,
    Event,
    Judgment,
    Lesson,
    Refusal,
    Task,
    derive_id,
)
from bus.log import Log
from bus.records import Record
from bus.topics import DEAD_SUFFIX
from observability.lineage.chain import Chain, Link
from observability.lineage.lineage import UnknownEvent, dropped_by
from observability.replay.forks import forks

One = TypeVar("One", bound=Event)


@dataclass(frozen=True, slots=True)
class Said:
    """An event and where it lies."""

    record: Record
    event: Event

    @property
    def place(self) -> str:
        return f"{self.record.topic}/{self.record.partition}/{self.record.offset}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumer:
    """A version that consumed a record; `learned` is None where its manifest is not here."""

    link: Link
    learned: bool | None
    reason: str


class Course:
    """The events of the task that an event belongs to. A refusal is followed alone."""

    def __init__(self, log: Log, event_id: str) -> None:
        """Raises `UnknownEvent`, for a record that cannot be read too."""
        self._log = log
        self._forks = forks(log)
        asked = found(log, event_id)
        root = asked.event.correlation
        self.task = asked if root == event_id else found(log, root)
        self.attempt: Said | None = None
        self.judgment: Said | None = None
        if isinstance(self.task.event, Task):
            self.attempt = self._answer(self.task, Attempt, SOLVER)
            self.judgment = self.attempt and self._answer(self.attempt, Judgment, CRITIC)
        elif not isinstance(self.task.event, Refusal):
            raise UnknownEvent(
                f"{event_id} is a {asked.event.type()}: name a task, an attempt, a judgment or a "
                "refusal"
            )

    def _answer(self, said: Said, kind: type[Event], agent: str) -> Said | None:
        """What answers an event: by its id, or looked for where it must lie."""
        runs = dict.fromkeys((said.event.run, *(fork.run for fork in self._forks)))
        ids = (derive_id(run, agent, said.event.id) for run in runs)
        record = next(filter(None, map(self._log.find, ids)), None)
        if record is None:
            partition = self._log.read(kind.topic, said.record.partition)
            answers = (one for one in partition if _answered(one) == said.event.id)
            record = next(answers, None)
        event = None if record is None else read(record)
        return Said(record, event) if record is not None and isinstance(event, kind) else None

    @property
    def said(self) -> list[Said]:
        """The events in the order in which they answer each other."""
        return [one for one in (self.task, self.attempt, self.judgment) if one is not None]

    def letters(self) -> Iterator[Said]:
        """The dead letters about any of them."""
        places = {one.place for one in self.said}
        for topic, partition in sorted(self._log.heads()):
            if not topic.endswith(DEAD_SUFFIX):
                continue
            for record in self._log.read(topic, partition):
                event = read(record)
                if isinstance(event, DeadLetter) and _origin(event) in places:
                    yield Said(record, event)

    def lessons(self) -> Iterator[Said]:
        """What a memory keeps of it; the logs of an older evolvent have no topic for that."""
        if (Lesson.topic, 0) not in self._log.heads():
            return
        for record in self._log.read(Lesson.topic):
            if record.headers.get("ce_correlationid") == self.task.event.id:
                event = read(record)
                if isinstance(event, Lesson):
                    yield Said(record, event)

    def consumers(self, chain: Chain, run: Path) -> list[Consumer]:
        """The versions that consumed what is left at the end: the judgment, or the refusal, or the
        dead letter about one of them."""
        ends = [self.judgment] if self.judgment is not None else list(self.letters())
        if isinstance(self.task.event, Refusal):
            ends = [self.task]
        found = []
        for end in ends:
            record = end.record
            for link in chain.consumers(record.topic, record.partition, record.offset):
                dropped = dropped_by(run, link)
                reason = None if dropped is None else dropped.get(end.event.id)
                learned = None if dropped is None else reason is None
                found.append(Consumer(link=link, learned=learned, reason=reason or ""))
        return found


def found(log: Log, event_id: str) -> Said:
    """The event of an id. Raises `UnknownEvent`."""
    record = log.find(event_id)
    if record is None:
        raise UnknownEvent(f"there is no event {event_id} on the log")
    event = read(record)
    if event is None:
        raise UnknownEvent(f"the event {event_id} cannot be read: see `evolvent audit`")
    return Said(record, event)


def read(record: Record) -> Event | None:
    """The event of a record, None for one that cannot be read."""
    try:
        return record.event()
    except Unreadable:
        return None


def evaluations(log: Log) -> Iterator[Evaluation]:
    """Every evaluation, in the order of the log."""
    for record in log.read(Evaluation.topic):
        event = read(record)
        if isinstance(event, Evaluation):
            yield event


def _answered(record: Record) -> str | None:
    return record.headers.get("ce_causationid")


def _origin(letter: DeadLetter) -> str:
    return f"{letter.origin_topic}/{letter.origin_partition}/{letter.origin_offset}"
