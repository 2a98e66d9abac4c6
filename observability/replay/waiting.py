"""What the roles still have to do, from records alone: what was answered, learned from or laid
aside is done, wherever its answer lies among the partitions. Knows no cursor of a group.
"""

import sys
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from bus.cursor import Cursor
from bus.events import DeadLetter, Event, Weights
from bus.groups import Stream, name_of, stream_of
from bus.records import Record
from bus.topics import TOPICS
from observability.audit import duties
from observability.audit.headers import agent_of

_ANSWERED = {
    topic.answers: TOPICS[topic.answers].completed_by for topic in TOPICS.values() if topic.once
} | {"weights": duties.ANSWERS_ALL}
"""Whose records are done by an answer, and whose duty that is."""

_ANSWERS = {topic.name: topic.answers for topic in TOPICS.values() if topic.once}
_ANSWERS |= {"curricula": "weights"}

_LEARNS = {topic: duties.completer(topic) for topic in duties.LEARNED_FROM}

ROLES = tuple(dict.fromkeys([duties.ANSWERS_ALL, *_ANSWERED.values(), *_LEARNS.values()]))
"""Who has something to do, by the name of the group, in the order of the loop."""

_ID_CHARACTERS = 32


class Open(NamedTuple):
    """A record that is not done; `id` is "" where it has none of ours."""

    partition: int
    offset: int
    id: str


class Waiting:
    """What is open after every record that was `take`n: the same, in whatever order partitions are
    read. Ids are kept of what is open alone, and of answers that were read before what they
    answer."""

    def __init__(self) -> None:
        self._asked: dict[str, dict[str, tuple[int, int]]] = {topic: {} for topic in _ANSWERED}
        self._early: dict[str, dict[str, int]] = {topic: {} for topic in _ANSWERED}
        self._unlearned: dict[Stream, dict[int, str]] = {}
        self._learned: dict[Stream, Cursor] = {}

    def take(self, record: Record) -> None:
        """The next record of a partition."""
        topic, offset = record.topic, record.offset
        if topic in _ANSWERED:
            self._ask(record)
        elif topic in _LEARNS:
            stream = (topic, record.partition)
            if not self._learned.get(stream, _START).is_done(offset):
                self._unlearned.setdefault(stream, {})[offset] = _id_of(record.event_id)
        if topic in _ANSWERS:
            cause = record.headers.get("ce_causationid")
            if cause and (topic != "curricula" or agent_of(record) == duties.ANSWERS_ALL):
                self._end(_ANSWERS[topic], cause)

    def hear(self, event: Event) -> None:
        """What the body of a record says of others: what a version learned from, what was laid
        aside."""
        if isinstance(event, Weights):
            self._learn(event)
        elif isinstance(event, DeadLetter):
            self._lay_aside(event)

    def open(self, role: str) -> dict[str, list[Open]]:
        """What a role has to do, by topic, oldest first; topics without anything are left out."""
        found: dict[str, list[Open]] = {}
        for topic, asked in self._asked.items():
            if _ANSWERED[topic] == role and asked:
                rows = (Open(*place, _id_of(key)) for key, place in asked.items())
                found[topic] = sorted(rows, key=_age)
        for (topic, partition), left in self._unlearned.items():
            if _LEARNS[topic] == role and left:
                rows = (Open(partition, offset, event_id) for offset, event_id in left.items())
                found[topic] = sorted((*found.get(topic, ()), *rows), key=_age)
        return dict(sorted(found.items()))

    def cursors(self, role: str, ends: dict[Stream, int]) -> dict[Stream, Cursor]:
        """How far a role has come in partitions that were read up to there."""
        topics = {topic for topic, completer in _ANSWERED.items() if completer == role}
        topics |= {topic for topic, completer in _LEARNS.items() if completer == role}
        left: dict[Stream, list[int]] = {}
        for topic, rows in self.open(role).items():
            for one in rows:
                left.setdefault((topic, one.partition), []).append(one.offset)
        return {
            stream: _all_but(sorted(left.get(stream, ())), end)
            for stream, end in ends.items()
            if stream[0] in topics
        }

    @property
    def num_early(self) -> int:
        """Answers to records that were not read."""
        return sum(sum(early.values()) for early in self._early.values())

    def form(self) -> dict[str, Any]:
        """As JSON has it: equal where the same is open."""
        return {
            "asked": {
                topic: sorted([*place, key] for key, place in asked.items())
                for topic, asked in self._asked.items()
            },
            "early": {topic: sorted(map(list, one.items())) for topic, one in self._early.items()},
            "unlearned": {
                name_of(stream): sorted(map(list, left.items()))
                for stream, left in sorted(self._unlearned.items())
                if left
            },
            "learned": {
                name_of(stream): [cursor.base, [list(run) for run in cursor.runs]]
                for stream, cursor in sorted(self._learned.items())
            },
        }

    @classmethod
    def of(cls, form: dict[str, Any]) -> "Waiting":
        """What has that form."""
        waiting = cls()
        for topic, rows in form["asked"].items():
            waiting._asked[topic] = {key: (partition, offset) for partition, offset, key in rows}
        waiting._early |= {topic: dict(rows) for topic, rows in form["early"].items()}
        for name, rows in form["unlearned"].items():
            waiting._unlearned[stream_of(name)] = dict(rows)
        for name, (base, runs) in form["learned"].items():
            waiting._learned[stream_of(name)] = Cursor(
                base, tuple((low, high) for low, high in runs)
            )
        return waiting

    def _ask(self, record: Record) -> None:
        key = _key(record.event_id, record.topic, record.partition, record.offset)
        early = self._early[record.topic]
        if key in early:
            self._pay(early, key)
        else:
            self._asked[record.topic][key] = record.partition, record.offset

    def _end(self, topic: str, key: str) -> None:
        """Something of `topic` is done, if it was read or not."""
        if self._asked[topic].pop(key, None) is None:
            early = self._early[topic]
            early[key] = early.get(key, 0) + 1

    @staticmethod
    def _pay(early: dict[str, int], key: str) -> None:
        early[key] -= 1
        if not early[key]:
            del early[key]

    def _learn(self, event: Weights) -> None:
        for name, ranges in event.positions.items():
            topic, _, partition = name.rpartition("/")
            if topic in _LEARNS and partition.isdecimal():
                for start, end in ranges:
                    self._do((topic, int(partition)), start, end)

    def _do(self, stream: Stream, start: int, end: int) -> None:
        offsets = range(max(start, 0), min(end, sys.maxsize))
        self._learned[stream] = self._learned.get(stream, _START).advance(offsets)
        left = self._unlearned.get(stream, {})
        done = offsets if len(offsets) <= len(left) else [one for one in left if one in offsets]
        for offset in done:
            left.pop(offset, None)

    def _lay_aside(self, event: DeadLetter) -> None:
        topic, partition, offset = event.origin_topic, event.origin_partition, event.origin_offset
        if _ANSWERED.get(topic) == event.group:
            self._end(topic, _key(event.headers.get("ce_id", ""), topic, partition, offset))
        elif _LEARNS.get(topic) == event.group:
            self._do((topic, partition), offset, offset + 1)


_START = Cursor()


def _key(event_id: str, topic: str, partition: int, offset: int) -> str:
    """The id of a record, its place where it has none of ours."""
    return event_id if len(event_id) == _ID_CHARACTERS else f"{topic}/{partition}/{offset}"


def _id_of(key: str) -> str:
    return key if len(key) == _ID_CHARACTERS else ""


def _age(one: Open) -> tuple[int, int]:
    return one.offset, one.partition


def _all_but(left: Sequence[int], end: int) -> Cursor:
    runs = tuple(_between(left, end))
    return Cursor(runs[0][1], runs[1:]) if runs and runs[0][0] == 0 else Cursor(0, runs)


def _between(left: Sequence[int], end: int) -> Iterator[tuple[int, int]]:
    """The runs of [0, end) without these."""
    start = 0
    for offset in left:
        if offset > start:
            yield start, offset
        start = offset + 1
    if start < end:
        yield start, end
