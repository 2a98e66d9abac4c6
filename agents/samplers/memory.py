"""What a sampler remembers: the lessons of a run, a fold of its log, so that whoever reads the same
lessons remembers the same. Knows no task and no model."""

from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from threading import Lock

from bus.errors import Unreadable
from bus.events import Lesson
from bus.log import Log


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalled:
    """What is remembered once the first `position` lessons of the run were said, oldest first:
    what is `about` the same, and of the rest the newest, `others`."""

    position: int
    about: tuple[Lesson, ...]
    others: tuple[Lesson, ...]


class Lessons:
    """The last `capacity` lessons, without those that later ones forget."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._last: deque[Lesson] = deque()
        self._kept: dict[str, dict[str, Lesson]] = {}

    def add(self, lesson: Lesson) -> None:
        self._last.append(lesson)
        kept = self._kept.setdefault(lesson.about, {})
        kept[lesson.id] = lesson
        for forgotten in lesson.forgets:
            kept.pop(forgotten, None)
        if len(self._last) > self._capacity:
            self._drop(self._last.popleft())

    def about(self, about: str) -> tuple[Lesson, ...]:
        """Oldest first."""
        return tuple(self._kept.get(about, {}).values())

    def others(self, about: str, count: int) -> tuple[Lesson, ...]:
        """The newest `count` that are about anything else, oldest first."""
        found = (one for one in reversed(self._last) if one.about != about and self._keeps(one))
        return tuple(islice(found, count))[::-1]

    def _keeps(self, lesson: Lesson) -> bool:
        return lesson.id in self._kept.get(lesson.about, {})

    def _drop(self, oldest: Lesson) -> None:
        kept = self._kept.get(oldest.about, {})
        kept.pop(oldest.id, None)
        if not kept:
            self._kept.pop(oldest.about, None)


class Memory:
    """The lessons on a log, read on from where it was read last. Any thread may ask."""

    def __init__(self, log: Log, capacity: int) -> None:
        self._log = log
        self._capacity = capacity
        self._lessons = Lessons(capacity)
        self._position = 0
        self._lock = Lock()

    def recall(self, about: str, count: int) -> Recalled:
        """What there is to remember now, `count` of the others. Reads the log."""
        with self._lock:
            self._refresh()
            return Recalled(
                position=self._position,
                about=self._lessons.about(about),
                others=self._lessons.others(about, count),
            )

    def _refresh(self) -> None:
        end = self._log.heads().get((Lesson.topic, 0), 0)
        start = max(self._position, end - self._capacity)
        if start < end:
            for record in self._log.read(Lesson.topic, 0, start, end):
                with suppress(Unreadable):
                    if isinstance(event := record.event(), Lesson):
                        self._lessons.add(event)
        self._position = end


def last(texts: Iterable[str], count: int, characters: int) -> tuple[str, ...]:
    """The newest `count` of `texts`, which stand oldest first, that have no more `characters`
    together; of those that are alike the newest."""
    found: list[str] = []
    room = characters
    for text in reversed(list(texts)):
        if text in found:
            continue
        room -= len(text)
        if room < 0 or len(found) == count:
            break
        found.append(text)
    return tuple(reversed(found))


def forgotten(about: Sequence[Lesson], texts: Sequence[str], count: int) -> tuple[str, ...]:
    """The ids of the lessons `about` the same that make room where new ones say `texts`, so that no
    more than `count` are kept, none of them twice."""
    kept: set[str] = set()
    seen = set(texts)
    for lesson in reversed(about):
        if len(seen) >= count:
            break
        if lesson.text not in seen:
            seen.add(lesson.text)
            kept.add(lesson.id)
    return tuple(lesson.id for lesson in about if lesson.id not in kept)
