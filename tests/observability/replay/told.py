"""A log that was told: versions that consume judgments, dead letters of every role, what a guard
and a gate say, and work that is left open."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from random import Random

from bus.bus import Bus
from bus.events import Control, DeadLetter, Event, Judgment, Lesson, Promotion, Weights, derive_id
from bus.groups import Stream
from bus.log import Log
from bus.memory.bus import MemoryBus
from bus.records import Record
from bus.topics import PARTITIONS, partition_of
from observability.replay.state import State
from tests.observability.story import RUN, Story, at, judgment, refusal, start, turn, weights_id

VERSIONS = 15
OPEN = 3
"""Judgments that the last version leaves, and tasks and attempts that nobody has answered."""


@dataclass(slots=True)
class _Places:
    """Where judgments lie, and which of them no version has consumed."""

    ends: list[int]
    left: list[tuple[int, int]]

    def add(self, event: Judgment) -> None:
        part = partition_of(event.key, PARTITIONS)
        self.left.append((part, self.ends[part]))
        self.ends[part] += 1

    def consumed(self) -> dict[str, tuple[tuple[int, int], ...]]:
        taken, self.left = sorted(self.left[:-OPEN]), self.left[-OPEN:]
        found: dict[str, tuple[tuple[int, int], ...]] = {}
        for part, offset in taken:
            name = f"judgments/{part}"
            found[name] = (*found.get(name, ()), (offset, offset + 1))
        return found


def told(versions: int = VERSIONS, seed: int = 1) -> list[Event]:
    random, places = Random(seed), _Places([0] * PARTITIONS, [])
    story, found = Story(versions=versions), list[Event]()
    for number in range(versions + 1):
        for event in story.of_version(number):
            if isinstance(event, Judgment):
                places.add(event)
            change = {}
            if isinstance(event, Weights) and number:
                policy = "proposer" if number % 3 == 2 else "current"
                change = {"positions": places.consumed(), "policy": policy}
            found.append(event.model_copy(update=change))
        found += _beside(number, random)
    waiting = [judgment(versions + 1, index) for index in range(2 * OPEN)]
    found += [one.attempt.task for one in waiting]
    return [*found, *(one.attempt for one in waiting[:OPEN])]


def _beside(number: int, random: Random) -> Iterable[Event]:
    about = {"run": RUN, "agent": "gate", "created_at": at(number)}
    yield Promotion(
        id=derive_id(RUN, "gate", str(number)),
        weights=weights_id(number),
        weights_version=number,
        decision=random.choice(("promoted", "rejected", "rolled_back")),
        **about,
    )
    if number % 5 == 3:
        role = random.choice(("all", "solver", "critic"))
        command = random.choice(("pause", "resume", "stop", "objective"))
        said = {"command": command, "role": role, "guard": "floor", "reason": "too low"}
        yield Control(id=derive_id(RUN, "guard", str(number)), **about, **said)
        yield start(seconds=19 + 1.05 * number, name=f"words-{number}")
        yield refusal(1000 + number)
    if number % 7 == 4:
        for index, topic, group in ((7, "tasks", "solver"), (8, "attempts", "critic")):
            one = judgment(number, index)
            yield from [one.attempt.task, one.attempt][: 1 if topic == "tasks" else 2]
            yield _letter(topic, group, one.attempt.task.id, one.attempt.id)
        yield _letter("judgments", "trainer", f"{number}", "")
        yield Lesson(
            id=derive_id(RUN, "memory", str(number)),
            task=one.attempt.task.id,
            attempt=one.attempt.id,
            sample=0,
            about="words",
            turn=turn("look", number),
            **about,
        )


def _letter(topic: str, group: str, task: str, attempt: str) -> DeadLetter:
    """The place is not looked at where the record has an id."""
    dead = {"tasks": task, "attempts": attempt}.get(topic)
    return DeadLetter(
        id=derive_id(RUN, group, f"{topic}/{task}"),
        run=RUN,
        agent=group,
        created_at=at(0),
        origin_topic=topic,
        origin_partition=0,
        origin_offset=500 + int(task, 16) % 50,
        group=group,
        reason="cannot be read",
        value="",
        headers={} if dead is None else {"ce_id": dead},
    )


def filled(bus: Bus, events: Iterable[Event] | None = None) -> Bus:
    asyncio.run(bus.publish(list(told() if events is None else events)))
    return bus


def streams(log: Log) -> dict[Stream, list[Record]]:
    return {stream: list(log.read(*stream)) for stream, end in log.heads().items() if end}


def in_memory() -> dict[Stream, list[Record]]:
    return streams(filled(MemoryBus()).log)


def folded(records: Iterable[Record], state: State | None = None) -> State:
    state = State() if state is None else state
    for record in records:
        state.take(record)
    return state


def interleaved(of: dict[Stream, list[Record]], random: Random) -> list[Record]:
    """All records, each partition in its order."""
    order = [stream for stream, records in of.items() for _ in records]
    random.shuffle(order)
    left = {stream: iter(records) for stream, records in of.items()}
    return [next(left[stream]) for stream in order]
