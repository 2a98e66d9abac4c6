"""Where events go: the topics, and which partition a key falls into. Knows no driver."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache

PARTITIONS = 4
"""Of `tasks`, `attempts` and `judgments`, which are partitioned alike by task id, unless their log
was created with another number. Fixed for the life of a log: another one would send a key elsewhere
and break its order."""

MAX_PARTITIONS = 1_024

DEAD_SUFFIX = ".dead"


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """One stream of one event type: how it is split, and what its events have to do with others.

    `answers` is the topic of the events that these answer, "" for roots; with `once` an event is
    answered by one of these at most. `completed_by` is the group that must bring every record to
    an end, "" where nobody must. What is `durable` outlives a power cut from the moment on that
    anybody sees it, and all that was committed before it.
    """

    name: str
    partitions: int = 1
    retention: str = "for ever"
    key: str = "event id"
    answers: str = ""
    once: bool = False
    completed_by: str = ""
    durable: bool = False
    description: str = field(default="", compare=False)


def _dead(topic: Topic) -> Topic:
    """A task that nobody can work on is for the trainer to count."""
    return Topic(
        name=topic.name + DEAD_SUFFIX,
        completed_by="trainer" if topic.key == "task id" else "",
        description=f"Records of {topic.name} that could not be read or were rejected.",
    )


_LIVE = (
    Topic(
        name="tasks",
        partitions=PARTITIONS,
        answers="weights",
        completed_by="solver",
        key="task id",
        description="Problems to solve.",
    ),
    Topic(
        name="refusals",
        answers="weights",
        completed_by="trainer",
        key="refusal id",
        description="Proposals that the task gate did not admit, and why.",
    ),
    Topic(
        name="attempts",
        partitions=PARTITIONS,
        answers="tasks",
        once=True,
        completed_by="critic",
        key="task id",
        description="Groups of samples drawn for one task.",
    ),
    Topic(
        name="lessons",
        answers="tasks",
        key="lesson id",
        description="What a memory keeps of tries that were not right, and forgets.",
    ),
    Topic(
        name="judgments",
        partitions=PARTITIONS,
        answers="attempts",
        once=True,
        completed_by="trainer",
        key="task id",
        description="Attempts with one verdict per sample.",
    ),
    Topic(
        name="weights",
        answers="weights",
        key="run",
        durable=True,
        description="Pointers to the published versions of the model.",
    ),
    Topic(
        name="curricula",
        answers="weights",
        key="run",
        description="The proposer's state after each version.",
    ),
    Topic(
        name="evaluations",
        answers="weights",
        key="weights version",
        description="Held-out scores of a version.",
    ),
    Topic(
        name="promotions",
        answers="weights",
        key="weights version",
        durable=True,
        description="A gate's decisions on a version.",
    ),
    Topic(
        name="watermarks",
        key="run",
        durable=True,
        description="How far archives of the log have come.",
    ),
    Topic(
        name="control",
        key="role",
        description="What the operator says to the roles.",
    ),
)

TOPICS: dict[str, Topic] = {topic.name: topic for live in _LIVE for topic in (live, _dead(live))}
"""Every topic by its name, each followed by its dead-letter topic."""


def completed_by(group: str) -> tuple[str, ...]:
    """The topics of which `group` must bring every record to an end."""
    return tuple(topic.name for topic in TOPICS.values() if topic.completed_by == group)


def co_partitioned(topics: Mapping[str, Topic], partitions: int | None) -> dict[str, Topic]:
    """`topics`, those of several partitions with so many of them; None leaves them as they are."""
    if partitions is None:
        return dict(topics)
    return {
        name: replace(topic, partitions=partitions) if topic.partitions > 1 else topic
        for name, topic in topics.items()
    }


def partitions_on(log: Mapping[str, int], topics: Mapping[str, Topic]) -> int | None:
    """How many partitions the co-partitioned among `topics` have on a log that has `log` of each
    topic; None where it has none of these topics."""
    found = (log.get(name, 0) for name, topic in topics.items() if topic.partitions > 1)
    return next(filter(None, found), None)


def partition_of(key: str, partitions: int) -> int:
    """The partition of a key, the same that Kafka's Java client chooses."""
    return 0 if partitions == 1 else _positive_hash(key) % partitions


@lru_cache(maxsize=16_384)
def _positive_hash(key: str) -> int:
    return murmur2(key.encode()) & 0x7FFFFFFF


def murmur2(data: bytes) -> int:
    """MurmurHash2 (Austin Appleby), 32 bits, unsigned, with the seed of Kafka's Java client."""
    mask, factor = 0xFFFFFFFF, 0x5BD1E995
    length = len(data)
    whole = length & ~3
    hashed = 0x9747B28C ^ length
    for start in range(0, whole, 4):
        block = int.from_bytes(data[start : start + 4], "little") * factor & mask
        block = (block ^ block >> 24) * factor & mask
        hashed = hashed * factor & mask ^ block
    if length > whole:
        hashed = (hashed ^ int.from_bytes(data[whole:], "little")) * factor & mask
    hashed = (hashed ^ hashed >> 13) * factor & mask
    return hashed ^ hashed >> 15
