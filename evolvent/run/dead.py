"""The dead letters of a run: which there are, and one round of a letter sent again, as an event.
Knows no role.

What is sent again of a task, or of an attempt at it, is the task, under an id of its own that
follows from the letter: whoever sends it twice sends it once. It may die again, in another letter.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from bus.errors import Unreadable
from bus.events import Attempt, Control, DeadLetter, Event, Task, Weights, derive_id
from bus.log import Log
from bus.records import Record
from bus.topics import DEAD_SUFFIX, TOPICS
from evolvent.errors import UsageError
from evolvent.run.control import AGENT
from evolvent.run.folder import RunFolder

_MIN_ID = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Dead:
    """One letter: where it lies, the record it is about (`origin`) and how many bytes that has, the
    group that could not answer it, why and when, and whether a round of it was sent again."""

    id: str
    topic: str
    offset: int
    origin: str
    group: str
    reason: str
    when: str
    bytes: int
    sent_again: bool


def letters(log: Log) -> Iterator[Dead]:
    """The dead letters of a log, topic by topic, as they came."""
    for record, letter in _letters(log):
        place = f"{letter.origin_topic}/{letter.origin_partition}/{letter.origin_offset}"
        yield Dead(
            id=letter.id,
            topic=record.topic,
            offset=record.offset,
            origin=place,
            group=letter.group,
            reason=letter.reason,
            when=letter.created_at.isoformat(timespec="seconds"),
            bytes=len(_about(log, letter).value),
            sent_again=log.find(_id_of_next(letter)) is not None,
        )


async def send_again(folder: RunFolder, named: str) -> tuple[DeadLetter, Event, bool]:
    """One round more for the letter whose id begins with `named`: the letter, the event that was
    sent, and whether it is new. Raises `UsageError`."""
    async with folder.log(writable=True) as bus:
        letter = await asyncio.to_thread(_named, bus.log, named)
        event = await asyncio.to_thread(_next_round, folder.whole(bus.log), letter)
        new = await asyncio.to_thread(bus.log.find, event.id) is None
        await bus.publish([event])
    return letter, event, new


def _letters(log: Log) -> Iterator[tuple[Record, DeadLetter]]:
    for topic in (name for name in TOPICS if name.endswith(DEAD_SUFFIX)):
        for record in log.read(topic):
            try:
                letter = record.event()
            except Unreadable:
                continue
            if isinstance(letter, DeadLetter):
                yield record, letter


def _named(log: Log, named: str) -> DeadLetter:
    if len(named) < _MIN_ID:
        raise UsageError(f"{named}: give at least {_MIN_ID} digits of the letter's id")
    found = {letter.id: letter for _, letter in _letters(log) if letter.id.startswith(named)}
    if not found:
        raise UsageError(f"there is no dead letter {named}: `evolvent dead` lists them")
    if len(found) > 1:
        raise UsageError(f"{len(found)} dead letters begin with {named}: give more of the id")
    return next(iter(found.values()))


def _id_of_next(letter: DeadLetter) -> str:
    return derive_id(letter.run, AGENT, letter.id)


def _about(log: Log, letter: DeadLetter) -> Record:
    """The record that a letter is about, as it lies on the log."""
    at = letter.origin_offset
    [record] = log.read(letter.origin_topic, letter.origin_partition, at, at + 1)
    return record


def _next_round(log: Log, letter: DeadLetter) -> Event:
    record = _about(log, letter)
    event = _read(record, letter)
    signed = {"id": _id_of_next(letter), "agent": AGENT, "created_at": datetime.now(UTC)}
    if isinstance(event, Attempt) and _is_duty(letter):
        event = event.task
    if (isinstance(event, Task) and _is_duty(letter)) or isinstance(event, Control):
        return event.model_copy(update=signed)
    if isinstance(event, Weights) and letter.group == "evaluator":
        return Control(
            id=_id_of_next(letter),
            run=letter.run,
            agent=AGENT,
            command="evaluate",
            role=letter.group,
            weights_version=event.number,
        )
    why = (
        "what this version did not grant is granted by the next one"
        if letter.group == "proposer"
        else "others than this group would take it for new"
    )
    raise UsageError(f"{letter.id} of group {letter.group} cannot be sent again: {why}")


def _read(record: Record, letter: DeadLetter) -> Event:
    try:
        return record.event()
    except Unreadable as error:
        raise UsageError(f"{letter.id} cannot be sent again: its record is {error}") from None


def _is_duty(letter: DeadLetter) -> bool:
    """Whether it was its group's to bring the record to an end."""
    return TOPICS[letter.origin_topic].completed_by == letter.group
