"""`--at`: a moment of a log, as a person says it, as a position: where every partition ends. Reads
a few records of each partition, however long the log is. Knows no role.

    12                          a version: all that was committed up to it
    0f3a…                       an event, by its id: likewise
    2026-11-29T20:15            a time, of UTC where it does not say of which zone
    end                         what is there now
    tasks/0=12,tasks/1=9        the position itself; of what is not named, nothing
    {"tasks/0": 12}             the same, in JSON; @FILE reads either from a file

Dates do not grow along a log: every event has that of the moment in which it was made, by the clock
of who made it. So a time means all that was committed up to the last commit that has an event dated
up to then; in each partition that one is looked for as if its dates grew.
"""

import json
import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from bus.errors import BusError, Unreadable
from bus.events import Weights
from bus.groups import Stream, name_of, stream_of
from bus.log import HasOrder, Log
from bus.records import Record
from bus.topics import TOPICS
from bus.versions import Versions

Vector = dict[Stream, int]
"""The end of every partition of a log: so many of its records are before the position."""

Answer = tuple[str | None, str | None]

END = "end"
_ID = re.compile("[0-9a-f]{32}")
_NUMBER = re.compile("[0-9]{1,9}")
_OFFSET = re.compile("-?[0-9]+")
_LONGEST_SHOWN = 60
_WINDOW = 512
_DAWN = datetime.min.replace(tzinfo=UTC)


class UnknownPosition(Exception):
    """A log has no such position: one sentence."""


def position(log: Log, at: str) -> Vector:
    """The position that `at` means on a log. Raises `UnknownPosition`, and `BusError` where the log
    cannot be read."""
    if at == END:
        return log.heads()
    if _ID.fullmatch(at):
        return _committed_up_to(log, _found(log, at), f"--at {at}")
    if _NUMBER.fullmatch(at):
        return _committed_up_to(log, _version(log, int(at)), f"--at {at}")
    if "=" in at or at.startswith(("{", "@")):
        return _checked(log, _said(at))
    try:
        time = datetime.fromisoformat(at)
    except ValueError:
        raise UnknownPosition(
            f"--at {at}: name a version, the id of an event, a time such as 2026-11-29T20:15, end, "
            "or where partitions end, as in tasks/0=12,tasks/1=9"
        ) from None
    return _dated_up_to(log, time if time.tzinfo else time.replace(tzinfo=UTC), f"--at {at}")


def named(vector: Mapping[Stream, int]) -> dict[str, int]:
    """A position as JSON has it: partitions by their names, those of which it has something."""
    return {name_of(stream): end for stream, end in sorted(vector.items()) if end}


def text_of(vector: Mapping[Stream, int]) -> str:
    """A position as `--at` takes it."""
    return ",".join(f"{name}={end}" for name, end in named(vector).items())


def _version(log: Log, number: int) -> Record:
    versions = Versions(log)
    found = versions.numbered(number)
    if found is None:
        newest = versions.newest()
        there = "there is none" if newest is None else f"the newest is {newest.number}"
        raise UnknownPosition(f"--at {number}: there is no such version on the log: {there}")
    return _found(log, found.id)


def _found(log: Log, event_id: str) -> Record:
    record = log.find(event_id)
    if record is None:
        raise UnknownPosition(f"--at {event_id}: there is no such event on the log")
    return record


class Commits:
    """Of a log as it is now, in windows: a broker is asked seldom. Raises `UnknownPosition`."""

    def __init__(self, log: Log, said: str) -> None:
        self.log, self.heads, self.said = log, log.heads(), said
        self._windows: dict[tuple[Stream, int], Sequence[int]] = {}

    def of(self, stream: Stream, offset: int) -> int:
        start = offset - offset % _WINDOW
        window = self._windows.get((stream, start)) or self._window(stream, start)
        self._windows[stream, start] = window
        return window[offset - start]

    def _window(self, stream: Stream, start: int) -> Sequence[int]:
        end = min(start + _WINDOW, self.heads[stream])
        with suppress(BusError):
            found = self.log.commits(*stream, start, end) if isinstance(self.log, HasOrder) else ()
            if len(found) == end - start:
                return found
        raise UnknownPosition(
            f"{self.said}: this log does not say in which order {name_of(stream)} was committed: "
            "name where partitions end, as in tasks/0=12,tasks/1=9"
        )


def _committed_up_to(log: Log, record: Record, said: str) -> Vector:
    commits = Commits(log, said)
    return _below(commits, commits.of((record.topic, record.partition), record.offset))


def _dated_up_to(log: Log, time: datetime, said: str) -> Vector:
    commits, last = Commits(log, said), 0
    for stream, head in commits.heads.items():
        if end := bisect_right(range(head), time, key=partial(_date, log, stream)):
            last = max(last, commits.of(stream, end - 1))
    return _below(commits, last)


def _below(commits: Commits, last: int) -> Vector:
    """What was committed up to a commit."""
    log, said = commits.log, commits.said
    vector = {
        stream: bisect_right(range(head), last, key=partial(commits.of, stream))
        for stream, head in commits.heads.items()
    }
    _complete(commits, vector, last)
    if not all(_is_whole(log, *one, vector) for one in vector.items()):
        raise UnknownPosition(
            f"{said}: this log was copied, partition after partition, and has lost in which order "
            "it was committed: name where partitions end, as in tasks/0=12,tasks/1=9"
        )
    return vector


def _complete(commits: Commits, vector: Vector, last: int) -> None:
    """Where every record has a number of its own, the other outputs of the same answer follow."""
    of, heads, said = commits.of, commits.heads, None
    following = {at: of(at, end) for at, end in vector.items() if end < heads[at]}
    for stream, end in vector.items():
        if end and of(stream, end - 1) == last:
            said = _answer(commits.log, stream, end - 1)
    while following and said is not None and said[0] is not None:
        stream = min(following, key=following.__getitem__)
        end = vector[stream]
        if following.pop(stream) != last + 1 or _answer(commits.log, stream, end) != said:
            return
        last, vector[stream] = last + 1, end + 1
        if end + 1 < heads[stream]:
            following[stream] = of(stream, end + 1)


def _answer(log: Log, stream: Stream, offset: int) -> Answer:
    return answer_of(next(iter(log.read(*stream, offset, offset + 1))))


def answer_of(record: Record) -> Answer:
    """What a record answers, and who says it: the same for all that one commit says."""
    return record.headers.get("ce_causationid"), record.headers.get("ce_source")


def _is_whole(log: Log, stream: Stream, end: int, vector: Vector) -> bool:
    """Whether the last version or answer to a version has what it rests on."""
    topic = TOPICS.get(stream[0])
    if topic is None or topic.answers != Weights.topic:
        return True
    return not end or rests(log, next(iter(log.read(*stream, end - 1, end))), vector)


def rests(log: Log, record: Record, vector: Vector) -> bool:
    """Whether what a record answers, and a version consumed, is before the position."""
    cause = log.find(record.headers.get("ce_causationid", ""))
    if cause is not None and cause.offset >= vector[cause.topic, cause.partition]:
        return False
    if record.topic != Weights.topic:
        return True
    try:
        event = record.event()
    except Unreadable:
        return True
    consumed = event.positions if isinstance(event, Weights) else {}
    return all(ranges[-1][1] <= vector[stream_of(name)] for name, ranges in consumed.items())


def _date(log: Log, stream: Stream, offset: int) -> datetime:
    """Of a record; where it does not say one, of the nearest before it that does."""
    for at in range(offset, -1, -1):
        record = next(iter(log.read(*stream, at, at + 1)))
        with suppress(ValueError):
            date = datetime.fromisoformat(record.headers.get("ce_time", ""))
            return date if date.tzinfo else date.replace(tzinfo=UTC)
    return _DAWN


def _said(at: str) -> dict[str, Any]:
    """Partitions by their names, and where each is to end."""
    text, shown = at, at if len(at) <= _LONGEST_SHOWN else f"{at[:_LONGEST_SHOWN]}…"
    try:
        if at.startswith("@"):
            text = Path(at[1:]).read_text(encoding="utf-8").strip()
        if text.startswith("{"):
            found = json.loads(text, object_pairs_hook=_once)
            return dict(found.get("position", found))
        pairs = [one.strip().partition("=") for one in text.split(",")]
        if all(_OFFSET.fullmatch(end) for _, _, end in pairs):
            return _once([(name, int(end)) for name, _, end in pairs])
    except OSError as error:
        raise UnknownPosition(f"--at {shown}: {error.strerror or error}") from None
    except (ValueError, TypeError, AttributeError):
        pass
    raise UnknownPosition(
        f"--at {shown}: a position says where partitions end, as in tasks/0=12,tasks/1=9"
    )


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    for name in found if len(found) < len(pairs) else ():
        if sum(name == other for other, _ in pairs) > 1:
            raise UnknownPosition(f"--at: {name} is named twice")
    return found


def _checked(log: Log, said: Mapping[str, Any]) -> Vector:
    heads = log.heads()
    vector = dict.fromkeys(heads, 0)
    for name, end in said.items():
        try:
            stream = stream_of(name)
        except ValueError:
            stream = (name, -1)
        if stream not in heads or name != name_of(stream):
            raise UnknownPosition(f"--at: there is no partition {name} on the log")
        if type(end) is not int or end < 0:
            raise UnknownPosition(f"--at: {name} cannot end at {end!r}: name an offset from 0 on")
        if end > heads[stream]:
            raise UnknownPosition(f"--at: {name} ends at {heads[stream]}, before {end}")
        vector[stream] = end
    return vector
