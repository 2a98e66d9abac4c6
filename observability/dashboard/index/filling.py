"""Records of a log as rows of its index: each is taken once, partition by partition in order."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import blake2b
from math import isfinite
from sqlite3 import Connection
from typing import Any

from pydantic import ValidationError

from bus.errors import BusError, Unreadable
from bus.events import Control, Curriculum, DeadLetter, Evaluation, Event, Promotion, Weights
from bus.groups import Stream, name_of, stream_of
from bus.log import Log
from bus.records import Record
from bus.topics import TOPICS
from observability.dashboard.index.judged import ASKED, JUDGED, numbers_of, proposed_by
from observability.dashboard.index.learned import learn
from observability.dashboard.index.store import Store, generation_of

_QUESTION, _ANSWER = 300, 200
_BODIES = ("tasks", "judgments")
_FACTS = ("evaluations", "promotions", "control", "curricula")

_TASK = """
UPDATE task SET part = :part, off = :off, time = :time, agent = :agent, source = :source,
    family = :family, level = :level, version = :version, question = :question, answer = :answer,
    prompt = :prompt, proposed_by = :proposed_by
WHERE id = :id AND off IS NULL
"""
_JUDGED = """
UPDATE task SET joff = :joff, jtime = :jtime, samples = :samples, counted = :counted,
    correct = :correct, reward = :reward, low = :low, high = :high, critic = :critic,
    sampled = :sampled, oldest = :oldest, tokens = :tokens, nats = :nats, answers = :answers,
    agreed = :agreed, compared = :compared, judges = :judges
WHERE id = :id AND joff IS NULL
"""
_VERSION = """
INSERT OR IGNORE INTO version (off, number, id, parent, parent_id, policy, time, trained, dropped,
    format, metrics, batch, positions)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


class Index:
    """The index of a run's log in a `store`, which has `num_events` of it. One thread fills it;
    whoever asks reads the store."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.ends: dict[Stream, int] = {}
        self.num_events = 0
        self._generation = 0
        self._lasts: dict[Stream, str] = {}
        self._taken: list[tuple[Record, Event | None]] = []

    def begin(self, log: Log) -> None:
        """Go on where it ended, on this log; from the beginning where that is another one. Raises
        `BusError` where the log cannot say which it is."""
        self.ends, self._lasts, self._taken, self.num_events = {}, {}, [], 0
        self._generation, heads = self.store.generation, log.heads()
        for stream, (end, last) in self._places().items():
            if end > heads.get(stream, 0) or _id_at(log, stream, end - 1) != last:
                self._generation = self.store.clear()
                self.ends, self._lasts = {}, {}
                return
            self.ends[stream], self._lasts[stream] = end, last
        self.num_events = sum(self.ends.values())

    def take(self, record: Record, event: Event | None) -> None:
        """The next record of a partition, and its event where that was read already."""
        stream = (record.topic, record.partition)
        self.ends[stream], self._lasts[stream] = record.offset + 1, record.event_id
        self._taken.append((record, event))

    def write(self) -> None:
        """What was taken since the last time, in one commit. Another process that has written
        meanwhile changes nothing: rows are the same. Raises `BusError` where one has cleared it."""
        taken, self._taken = self._taken, []
        with self.store.writing() as connection:
            if generation_of(connection) != self._generation:
                raise BusError(
                    "another dashboard has cleared the index of this run: it begins anew"
                )
            _write(connection, taken)
            rows = [(name_of(at), end, self._lasts[at]) for at, end in self.ends.items()]
            connection.executemany(
                "INSERT INTO place VALUES (?, ?, ?) ON CONFLICT (stream) DO UPDATE SET "
                "last = CASE WHEN excluded.next >= next THEN excluded.last ELSE last END, "
                "next = max(next, excluded.next)",
                rows,
            )
            learn(connection, self.ends)
        self.num_events = sum(self.ends.values())

    def _places(self) -> dict[Stream, tuple[int, str]]:
        found = self.store.rows("SELECT stream, next, last FROM place")
        return {stream_of(name): (end, last) for name, end, last in found}


def _id_at(log: Log, stream: Stream, offset: int) -> str | None:
    return next((one.event_id for one in log.read(*stream, offset, offset + 1)), None)


def _write(connection: Connection, taken: Sequence[tuple[Record, Event | None]]) -> None:
    ids: list[tuple[str]] = []
    tasks: list[dict[str, Any]] = []
    attempts: list[tuple[int, float | None, str, int]] = []
    judgments: list[dict[str, Any]] = []
    swaps: list[tuple[Any, ...]] = []
    for record, event in taken:
        try:
            if record.topic == "tasks":
                tasks.append(_task(record))
            elif record.topic == "attempts":
                if cause := record.headers.get("ce_causationid"):
                    attempts.append((record.offset, time_of(record), cause, record.partition))
            elif record.topic == "judgments":
                row, first = _judgment(record)
                judgments.append(row)
                swaps += first
            elif record.topic == Weights.topic and isinstance(event, Weights):
                _version(connection, record, event)
            elif isinstance(event, DeadLetter):
                ids += _laid_aside(connection, record, event)
            if (event is not None and record.topic in _FACTS) or isinstance(event, DeadLetter):
                _fact(connection, record, event)
        except (ValidationError, ValueError, TypeError, LookupError, OverflowError):
            continue
    ids += [(row["id"],) for row in (*tasks, *judgments)]
    ids += [(cause,) for _, _, cause, _ in attempts]
    connection.executemany("INSERT OR IGNORE INTO task (id) VALUES (?)", ids)
    connection.executemany(_TASK, tasks)
    connection.executemany(
        "UPDATE task SET aoff = ?, atime = ? WHERE id = ? AND aoff IS NULL "
        "AND coalesce(part, ?4) = ?4",
        attempts,
    )
    connection.executemany(_JUDGED, judgments)
    connection.executemany("INSERT OR IGNORE INTO swap VALUES (?, ?, ?, ?, ?)", swaps)


def _task(record: Record) -> dict[str, Any]:
    asked = ASKED.validate_json(record.value)
    return {
        "id": asked.id,
        "part": record.partition,
        "off": record.offset,
        "time": asked.created_at.timestamp(),
        "agent": asked.agent,
        "source": asked.source,
        "family": asked.family,
        "level": asked.level,
        "version": asked.weights_version,
        "question": _text(asked.question, _QUESTION),
        "answer": _text(asked.answer, _ANSWER),
        "prompt": prompt_number(asked.prompt),
        "proposed_by": proposed_by(asked),
    }


def _judgment(record: Record) -> tuple[dict[str, Any], list[tuple[Any, ...]]]:
    judged = JUDGED.validate_json(record.value)
    numbers, attempt = numbers_of(judged), judged.attempt
    finite = isfinite(numbers.nats)
    row = {
        "id": attempt.task.id,
        "joff": record.offset,
        "jtime": judged.created_at.timestamp(),
        "critic": judged.critic,
        "sampled": json.dumps(numbers.versions),
        "judges": json.dumps(numbers.judges),
        "nats": numbers.nats if finite else None,
        "tokens": numbers.tokens,
    }
    for name in ("samples", "counted", "correct", "reward", "low", "high", "oldest"):
        row[name] = getattr(numbers, name)
    for name in ("answers", "agreed", "compared"):
        row[name] = getattr(numbers, name)
    at = (attempt.created_at.timestamp(), record.partition, record.offset)
    return row, [(version, attempt.agent, *at) for version in numbers.versions[-1:]]


def _version(connection: Connection, record: Record, event: Weights) -> None:
    """A version whose parent is there, or a first one, as `Chain` has them."""
    known = connection.execute("SELECT number FROM version WHERE id = ?", (event.parent_id,))
    parent = known.fetchone()
    first = event.number == 0 and event.parent_id is None
    if not first and (parent is None or parent[0] != event.parent or parent[0] >= event.number):
        return
    metrics = {name: value for name, value in event.metrics.items() if isfinite(value)}
    row = (
        *(record.offset, event.number, event.id, event.parent, event.parent_id, event.policy),
        *(event.created_at.timestamp(), event.trained, event.dropped, event.format),
        json.dumps(metrics),
        json.dumps([level.model_dump() for level in event.batch]),
        json.dumps(event.positions),
    )
    connection.execute(_VERSION, row)


def _laid_aside(connection: Connection, record: Record, letter: DeadLetter) -> list[tuple[str]]:
    """A task whose work has ended in a dead letter."""
    topic = TOPICS.get(letter.origin_topic)
    if topic is None or topic.completed_by != letter.group or letter.group == "":
        return []
    of_task = letter.origin_topic in ("tasks", "attempts", "judgments")
    task = letter.headers.get("ce_correlationid") if of_task else None
    if not task:
        return []
    connection.execute("INSERT OR IGNORE INTO task (id) VALUES (?)", (task,))
    connection.execute(
        "UPDATE task SET dtopic = ?, doff = ? WHERE id = ? AND doff IS NULL",
        (record.topic, record.offset, task),
    )
    return []


def _fact(connection: Connection, record: Record, event: Event | None) -> None:
    match event:
        case Evaluation() | Promotion() | Curriculum() | Control():
            version = event.weights_version
            body = event.model_dump_json(exclude={"plugins"})
        case DeadLetter():
            version, body = None, event.model_dump_json(exclude={"value", "headers"})
        case _:
            return
    connection.execute(
        "INSERT OR IGNORE INTO fact VALUES (?, ?, ?, ?, ?, ?)",
        (record.topic, record.offset, event.id, event.created_at.timestamp(), version, body),
    )


def event_of(record: Record) -> Event | None:
    """The event of a record of a topic whose bodies an index reads whole."""
    if record.topic in _BODIES or record.topic == "attempts":
        return None
    with suppress(Unreadable):
        return record.event()
    return None


def time_of(record: Record) -> float | None:
    """Seconds since 1970 of a record, by its header."""
    try:
        time = datetime.fromisoformat(record.headers.get("ce_time", ""))
    except ValueError:
        return None
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


def prompt_number(prompt: str) -> int:
    """The same for the same prompt."""
    digest = blake2b(prompt.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def _text(text: str, most: int) -> str:
    """What SQLite can hold of it."""
    return text[:most].encode("utf-8", "replace").decode()


def named_ends(ends: Mapping[Stream, int]) -> dict[str, int]:
    return {name_of(stream): end for stream, end in ends.items()}
