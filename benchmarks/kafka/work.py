"""What every client of the Kafka benchmark does: one question of 1 KiB in, one answer of 1 KiB
out, the same codec, topics and handlers for all. Knows no client.
"""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from bus.codec import decode, encode
from bus.events import Event, Promotion, Task, derive_id
from bus.topics import Topic, partition_of

PARTITIONS = 4
EVENT_BYTES = 1024
QUESTIONS, ANSWERS = "tasks", "promotions"
TOPICS = {name: Topic(name=name, partitions=PARTITIONS) for name in (QUESTIONS, ANSWERS)}
GROUP = "bench"
MEDIAN_SECONDS, SPREAD = 0.15, 0.6
SHORTEST_SECONDS, LONGEST_SECONDS = 0.05, 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a client process is to do. `batch` is the most events of one commit where the client
    has commits, `concurrency` the most handlers at once."""

    row: str
    address: str
    app: str
    batch: int = 500
    concurrency: int = 64
    slow: bool = False

    @property
    def questions(self) -> str:
        return f"{self.app}.{QUESTIONS}"

    @property
    def answers(self) -> str:
        return f"{self.app}.{ANSWERS}"

    @property
    def at_once(self) -> int:
        """Events that are handled side by side."""
        return self.concurrency if self.slow else self.batch

    def seconds(self, event_id: str) -> float:
        """How long the handler of an event takes: log-normal, the same for every client."""
        if not self.slow:
            return 0.0
        drawn = MEDIAN_SECONDS * math.exp(Random(event_id).gauss(0, SPREAD))
        return min(max(drawn, SHORTEST_SECONDS), LONGEST_SECONDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """A message as Kafka's own clients write it."""

    partition: int
    key: bytes
    headers: list[tuple[str, bytes]]
    value: bytes


def question(index: int) -> Task:
    text = Random(index).randbytes(EVENT_BYTES).hex()
    return Task(
        id=derive_id("bench", "asker", str(index)),
        run="bench",
        agent="asker",
        domain="bench",
        family="bench",
        level=0,
        prompt=text[: EVENT_BYTES - _TASK_BYTES],
        question="",
        answer="",
        weights_version=index,
        granted_by="0" * 32,
        source="bench",
    )


def answer(event: Event) -> Promotion:
    """The instant handler."""
    assert isinstance(event, Task)
    return Promotion(
        id=derive_id("bench", "answerer", event.id),
        run="bench",
        agent="answerer",
        weights=event.id,
        weights_version=event.weights_version,
        decision="promoted",
        reasons=(event.prompt,),
    )


async def handle(job: Job, event: Event) -> Promotion:
    if job.slow:
        await asyncio.sleep(job.seconds(event.id))
    return answer(event)


def read(headers: Sequence[tuple[str, bytes]], value: bytes) -> Event:
    """The event of a message that Kafka's own clients read."""
    return decode({name: text.decode() for name, text in headers}, value)


def wire(event: Event) -> Wire:
    key, headers, value = encode(event)
    return Wire(
        partition=partition_of(key, PARTITIONS),
        key=key.encode(),
        headers=[(name, text.encode()) for name, text in headers.items()],
        value=value,
    )


_TASK_BYTES = 315
