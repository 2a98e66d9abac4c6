"""Events as they lie on the log: by place, by id, by what they say."""

import json
from contextlib import suppress
from typing import Any

from bus.errors import BusError, Unreadable
from bus.events import DeadLetter
from bus.groups import Stream
from bus.log import Log
from bus.records import Record
from bus.topics import DEAD_SUFFIX, TOPICS
from observability.dashboard.asked import Wrong, cursor_of
from observability.dashboard.places import Place
from observability.dashboard.routing import AT, CURSOR, LIMIT, Ask, Param, Route
from observability.lineage.course import Said
from observability.lineage.lineage import UnknownEvent
from observability.lineage.trace import says

_SAYS = 200
_PAGE = 10


def topics(ask: Ask) -> dict[str, Any]:
    heads, starts = ask.run.watched.look(lambda log: (log.heads(), log.starts()))
    found: dict[str, dict[str, Any]] = {}
    for (topic, partition), head in sorted(heads.items()):
        end = end_of(ask.place, (topic, partition), head)
        about = TOPICS[topic].description if topic in TOPICS else ""
        one = found.setdefault(
            topic,
            {
                "topic": topic,
                "description": about,
                "partitions": [],
                "records": 0,
                "dead": topic.endswith(DEAD_SUFFIX),
            },
        )
        start = starts.get((topic, partition), 0)
        one["partitions"].append({"partition": partition, "start": start, "end": end})
        one["records"] += end
    order = list(TOPICS)
    return {
        "topics": sorted(
            found.values(),
            key=lambda one: order.index(one["topic"]) if one["topic"] in order else 99,
        )
    }


def end_of(place: Place, stream: Stream, head: int) -> int:
    end = place.end(*stream)
    return head if end is None else min(end, head)


def listed(ask: Ask) -> dict[str, Any]:
    words = ask.words
    stream = (words.text("topic") or "tasks", words.whole("partition") or 0)
    limit = words.whole("limit", 1, 500) or _PAGE

    def look(log: Log) -> dict[str, Any]:
        heads = log.heads()
        if stream not in heads:
            raise Wrong(404, f"there is no partition {stream[0][:60]}/{stream[1]} on the log")
        first, end = log.starts().get(stream, 0), end_of(ask.place, stream, heads[stream])
        offset = words.whole("offset")
        if words.choice("direction", "next", "previous") != "next" or offset is None:
            until = min(end, end if offset is None else offset)
            low, high = max(first, until - limit), until
        else:
            low = min(max(first, offset), end)
            high = min(end, low + limit)
        return {
            "events": [as_json(record) for record in log.read(*stream, low, high)],
            "topic": stream[0],
            "partition": stream[1],
            "start": first,
            "end": end,
            "previous": low if low > first else None,
            "next": high if high < end else None,
        }

    return ask.run.watched.look(look)


def as_json(record: Record, *, with_says: bool = True) -> dict[str, Any]:
    """A record in a list."""
    headers = record.headers
    return {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "place": f"{record.topic}/{record.partition}/{record.offset}",
        "id": record.event_id,
        "type": headers.get("ce_type", "").removeprefix("evolvent."),
        "time": headers.get("ce_time"),
        "key": record.key,
        "agent": headers.get("ce_source", "").rpartition("/")[2],
        "bytes": len(record.value),
        "version": headers.get("ce_modelversion"),
        "cause": headers.get("ce_causationid"),
        "task": headers.get("ce_correlationid"),
        "says": _says(record) if with_says else None,
    }


def _says(record: Record) -> str:
    """What it says in a few words."""
    try:
        event = record.event()
    except Unreadable as error:
        return f"cannot be read: {error}"[:_SAYS]
    if words := says(Said(record, event)):
        return words[:_SAYS]
    kept = event.model_dump(mode="json", exclude={"id", "run", "agent", "created_at"})
    plain = {name: value for name, value in kept.items() if value and type(value) in (str, int)}
    return ", ".join(f"{name} {value}" for name, value in plain.items())[:_SAYS]


def one(ask: Ask) -> dict[str, Any]:
    words = ask.words
    event_id, at = words.text("id"), words.text("place")
    if (event_id is None) == (at is None):
        raise Wrong(400, "name one event, by id= or by place=")

    def look(log: Log) -> dict[str, Any]:
        record = log.find(event_id) if event_id is not None else _at(log, at or "")
        if record is None:
            raise UnknownEvent(f"there is no event {event_id} on the log")
        end = ask.place.end(record.topic, record.partition)
        if end is not None and record.offset >= end:
            raise UnknownEvent("that event is not there yet at this position")
        return _whole(record)

    return ask.run.watched.look(look)


def _at(log: Log, place: str) -> Record:
    topic, _, rest = place.partition("/")
    partition, _, offset = rest.partition("/")
    if not (partition.isdecimal() and offset.isdecimal()):
        raise Wrong(400, f"place={place[:60]}: write it as tasks/0/12")
    stream, number = (topic, int(partition)), int(offset)
    if number >= log.heads().get(stream, 0):
        raise UnknownEvent(f"there is no record {place[:60]} on the log")
    return next(iter(log.read(*stream, number, number + 1)))


def _whole(record: Record) -> dict[str, Any]:
    """A record with its headers and its body; a body that is no JSON as text."""
    text, body, unreadable = record.value.decode("utf-8", "backslashreplace"), None, None
    with suppress(ValueError, RecursionError):
        read = json.loads(text)
        json.dumps(read, ensure_ascii=False).encode()
        body = read
    try:
        record.event()
    except Unreadable as error:
        unreadable = str(error)
    said = {"headers": record.headers, "body": body, "unreadable": unreadable}
    return as_json(record) | said | {"text": None if body is not None else text}


def dead(ask: Ask) -> dict[str, Any]:
    place, words = ask.place, ask.words
    rows = [
        (topic, off, text, time)
        for topic, off, text, time in ask.run.watched.store.rows(
            "SELECT topic, off, body, time FROM fact WHERE topic LIKE '%.dead' "
            "ORDER BY time DESC, topic, off"
        )
        if (end := place.end(topic)) is None or off < end
    ]
    start = words.start
    page = rows[start : start + words.limit]
    end = start + len(page)

    def look(log: Log) -> list[dict[str, Any]]:
        return [_letter(log, topic, off) for topic, off, _, _ in page]

    return {
        "letters": ask.run.watched.look(look),
        "total": len(rows),
        "next": cursor_of(end) if end < len(rows) else None,
    }


def _letter(log: Log, topic: str, offset: int) -> dict[str, Any]:
    said: dict[str, Any] = {"topic": topic, "offset": offset}
    try:
        event = next(iter(log.read(topic, 0, offset, offset + 1))).event()
    except (Unreadable, BusError, StopIteration) as error:
        return said | {"id": "", "reason": f"cannot be read: {error}"}
    assert isinstance(event, DeadLetter)
    return said | {
        "id": event.id,
        "origin": f"{event.origin_topic}/{event.origin_partition}/{event.origin_offset}",
        "group": event.group,
        "reason": event.reason,
        "time": event.created_at.isoformat(),
        "bytes": len(event.value),
        "event_id": event.headers.get("ce_id"),
        "task": event.headers.get("ce_correlationid"),
    }


ROUTES = (
    Route(
        path="/runs/{run}/topics",
        about="The topics, and where their partitions begin and end.",
        answer=topics,
        params=(AT,),
    ),
    Route(
        path="/runs/{run}/events",
        about="The records of a partition from an offset on, or before it.",
        answer=listed,
        params=(
            AT,
            Param(name="topic", about="Its topic, tasks."),
            Param(name="partition", about="Its partition, 0.", kind="integer"),
            Param(name="offset", about="From where; the end.", kind="integer"),
            Param(name="direction", about="next, or previous: the records before the offset."),
            LIMIT,
        ),
    ),
    Route(
        path="/runs/{run}/events/one",
        about="One event as JSON, with its headers.",
        answer=one,
        params=(
            AT,
            Param(name="id", about="Its id."),
            Param(name="place", about="Its place, as tasks/0/12."),
        ),
    ),
    Route(
        path="/runs/{run}/dead",
        about="Dead letters, with reasons, newest first.",
        answer=dead,
        params=(AT, LIMIT, CURSOR),
    ),
)
