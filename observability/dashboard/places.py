"""Positions of a run: what `at` means, and where that lies on the slider, whose steps are the
beginning, every version, now."""

import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any

from bus.groups import Stream
from bus.log import Log
from observability.dashboard.asked import iso
from observability.dashboard.watched import Watched
from observability.replay.position import END, UnknownPosition, named, position, text_of

_REMEMBERED = 1024
_NUMBER = re.compile("[0-9]{1,9}")
_BEGINNING = "tasks/0=0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A position as it was asked for. `ends` is None for now."""

    at: str
    ends: Mapping[Stream, int] | None

    @property
    def is_now(self) -> bool:
        return self.ends is None

    def end(self, topic: str, partition: int = 0) -> int | None:
        """Where a partition ends there, None for now."""
        return None if self.ends is None else self.ends.get((topic, partition), 0)


NOW = Place(at=END, ends=None)


class Places:
    """Those of one run. What was found before the end of the log is remembered: it never
    moves, for a log only grows, as long as it is the same."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self._found: OrderedDict[tuple[int, str], dict[Stream, int]] = OrderedDict()
        self._lock = Lock()

    def at(self, said: str | None) -> Place:
        """Raises `UnknownPosition`, and `Unavailable`."""
        if said in (None, "", END):
            return NOW
        assert said is not None
        key = self._watched.changes, said
        with self._lock:
            known = self._found.get(key)
        if known is None:
            named = self._version(said) if _NUMBER.fullmatch(said) else said
            known = self._watched.look(lambda log: _position(log, named))
            if known == self._watched.heads:
                # A time that is still to come moves with the end of the log.
                return Place(at=said, ends=known)
            with self._lock:
                self._found[key] = known
                while len(self._found) > _REMEMBERED:
                    self._found.popitem(last=False)
        return Place(at=said, ends=known)

    def _version(self, number: str) -> str:
        """The id of its event, which is found sooner than its number."""
        rows = self._watched.store.rows(
            "SELECT id FROM version WHERE number = ? ORDER BY off LIMIT 1", (number,)
        )
        return str(rows[0][0]) if rows else number

    def at_step(self, step: int) -> Place:
        """Raises as `at`."""
        steps = self.steps
        if step >= steps:
            return NOW
        if step <= 0:
            ends = dict.fromkeys(self._watched.heads, 0)
            return Place(at=_BEGINNING, ends=ends)
        [(event_id, number, same)] = self._watched.store.rows(
            "SELECT id, number, (SELECT count(*) FROM version v WHERE v.number = version.number) "
            "FROM version ORDER BY off LIMIT 1 OFFSET ?",
            (step - 1,),
        )
        return self.at(str(number) if same == 1 else str(event_id))

    @property
    def steps(self) -> int:
        """The last step of the slider."""
        [(number,)] = self._watched.store.rows("SELECT count(*) FROM version")
        return int(number) + 1

    def described(self, place: Place) -> dict[str, Any]:
        """A position as the page gets it."""
        watched, steps = self._watched, self.steps
        ends = watched.heads if place.ends is None else place.ends
        [(num,)] = watched.store.rows(
            "SELECT count(*) FROM version WHERE off < ?", (ends.get(("weights", 0), 0),)
        )
        newest = watched.store.rows(
            "SELECT number, time FROM version WHERE off < ? ORDER BY off DESC LIMIT 1",
            (ends.get(("weights", 0), 0),),
        )
        step = steps if place.is_now else num
        return {
            "at": place.at,
            "now": place.is_now,
            "position": named(ends),
            "text": text_of(ends) or _BEGINNING,
            "events": sum(ends.values()),
            "step": step,
            "steps": steps,
            "previous": step - 1 if step > 0 else None,
            "next": step + 1 if step < steps else None,
            "version": newest[0][0] if newest else None,
            "time": iso(newest[0][1]) if newest else None,
        }


def _position(log: Log, said: str) -> dict[Stream, int]:
    if said.startswith("@"):
        raise UnknownPosition(f"--at {said}: a file is not read from here")
    return position(log, said)
