"""Events by what they say: read from the newest on, so many a call."""

import json
from collections.abc import Iterator, Sequence
from heapq import merge
from itertools import takewhile
from time import monotonic
from typing import Any

from bus.groups import Stream, name_of, stream_of
from bus.log import Log
from bus.records import Record
from observability.dashboard.asked import Words, Wrong, cursor_of
from observability.dashboard.index.filling import time_of
from observability.dashboard.routes.events import as_json, end_of
from observability.dashboard.routing import AT, CURSOR, LIMIT, Ask, Param, Route

_READ, _SECONDS = 20_000, 2.0
_STEP = 64


def search(ask: Ask) -> dict[str, Any]:
    """Newest first, so many records a call. The cursor names every partition that was there at
    first, and the offset from which on it has been read."""
    words = ask.words
    matches = _Wanted(words)
    names = words.all("topic")

    def look(log: Log) -> dict[str, Any]:
        streams = [at for at in sorted(log.heads()) if not names or at[0] in names]
        ends = {stream: end_of(ask.place, stream, log.heads()[stream]) for stream in streams}
        if words.cursor:
            ends = _from(words.cursor, ends)
        newest = merge(
            *(
                takewhile(lambda one: not matches.is_too_old(one), _backwards(log, stream, end))
                for stream, end in ends.items()
            ),
            key=lambda record: time_of(record) or 0.0,
            reverse=True,
        )
        found: list[dict[str, Any]] = []
        read, until = 0, monotonic() + _SECONDS
        for read, record in enumerate(newest, 1):
            ends[record.topic, record.partition] = record.offset
            if matches(record):
                found.append(as_json(record))
            if len(found) >= words.limit or read >= _READ or monotonic() > until:
                following = cursor_of(*(x for at, end in ends.items() for x in (name_of(at), end)))
                return {"events": found, "read": read, "next": following, "done": False}
        return {"events": found, "read": read, "next": None, "done": True}

    return ask.run.watched.look(look)


def _from(cursor: Sequence[Any], ends: dict[Stream, int]) -> dict[Stream, int]:
    try:
        before = {
            stream_of(str(name)): int(end)
            for name, end in zip(cursor[::2], cursor[1::2], strict=True)
        }
        return {at: max(0, min(end, ends[at])) for at, end in before.items()}
    except (ValueError, LookupError, TypeError):
        raise Wrong(400, "cursor: take it from the answer before, with the same topics") from None


def _backwards(log: Log, stream: Stream, end: int) -> Iterator[Record]:
    first = log.starts().get(stream, 0)
    while end > first:
        start = max(first, end - _STEP)
        yield from reversed(list(log.read(*stream, start, end)))
        end = start


class _Wanted:
    """What is searched for. Dates hardly shrink along a partition: one far too old ends it."""

    def __init__(self, words: Words) -> None:
        self._text = (words.text("text") or "").lower().encode()
        # Inside JSON a text stands with its quotes and lines escaped.
        self._escaped = json.dumps(words.text("text") or "", ensure_ascii=False)[1:-1]
        self._key, header = words.text("key"), words.text("header")
        self._since, self._until = words.time("since"), words.time("until")
        if header is not None and ":" not in header:
            raise Wrong(400, "header: write it as NAME:VALUE")
        self._header = header.partition(":")[::2] if header else None

    def is_too_old(self, record: Record) -> bool:
        time = time_of(record)
        return self._since is not None and time is not None and time < self._since - 3600

    def __call__(self, record: Record) -> bool:
        time = time_of(record)
        if self._since is not None and (time is None or time < self._since):
            return False
        if self._until is not None and (time is None or time > self._until):
            return False
        if self._key is not None and record.key != self._key:
            return False
        if self._header is not None and record.headers.get(self._header[0]) != self._header[1]:
            return False
        body = record.value.lower()
        return not self._text or self._text in body or self._escaped.lower().encode() in body


ROUTES = (
    Route(
        path="/runs/{run}/events/search",
        about="Events by what they say, newest first; up to 20,000 records or 2 s a call.",
        answer=search,
        params=(
            AT,
            Param(name="text", about="Within the body."),
            Param(name="topic", about="Of this topic; may be repeated."),
            Param(name="key", about="Its key."),
            Param(name="header", about="A header as NAME:VALUE."),
            Param(name="since", about="From a time on."),
            Param(name="until", about="Up to a time."),
            LIMIT,
            CURSOR,
        ),
    ),
)
