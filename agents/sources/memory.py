"""What a source remembers of the tasks that were asked: a fold of the last ones on the log, so that
whoever reads them again remembers the same. Knows no model."""

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from agents.sources.context import Written
from agents.sources.likeness import Likeness
from bus.errors import Unreadable
from bus.events import Task
from bus.log import Log

_PAGE = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One task, and its text if a model wrote it."""

    prompt: str
    written: Written | None


class Memory:
    """The last `capacity` tasks, oldest forgotten first. With `most_alike`, what models wrote is
    compared with what they wrote before and with `fixed` texts, which are never forgotten."""

    def __init__(
        self, capacity: int, fixed: Iterable[str] = (), most_alike: float | None = None
    ) -> None:
        self._capacity = capacity
        self._most = most_alike
        self._last: deque[Entry] = deque()
        self._prompts: Counter[str] = Counter()
        self._written: deque[Written] = deque()
        self._fixed = Likeness(fixed if most_alike is not None else ())
        self._likeness = Likeness()

    def __contains__(self, prompt: str) -> bool:
        return prompt in self._prompts

    @property
    def written(self) -> Sequence[Written]:
        """What models wrote, oldest first."""
        return self._written

    @property
    def compares(self) -> bool:
        """Whether texts are compared at all."""
        return self._most is not None

    def add(self, entries: Iterable[Entry]) -> None:
        """The tasks of one version, in any order."""
        self.keep(sorted(entries, key=lambda entry: entry.prompt))

    def keep(self, entries: Iterable[Entry]) -> None:
        """Tasks in the order in which they are forgotten."""
        for entry in entries:
            self._last.append(entry)
            self._prompts[entry.prompt] += 1
            if entry.written is not None:
                self._written.append(entry.written)
                if self._most is not None:
                    self._likeness.add(entry.written.text)
            if len(self._last) > self._capacity:
                self._forget(self._last.popleft())

    def is_alike(self, text: str, drawn: Likeness) -> bool:
        """Whether `text` is too much like a fixed one, an earlier one, or one of those `drawn`."""
        pools = (self._fixed, self._likeness, drawn)
        return self._most is not None and any(pool.most(text) > self._most for pool in pools)

    def _forget(self, oldest: Entry) -> None:
        self._prompts[oldest.prompt] -= 1
        if not self._prompts[oldest.prompt]:
            del self._prompts[oldest.prompt]
        if oldest.written is not None:
            self._written.popleft()
            if self._most is not None:
                self._likeness.drop()


def remembered(log: Log, count: int) -> list[Entry]:
    """The last `count` tasks, those of one version by their prompts: an order that no partition and
    no clock decides. Reads the log."""
    if count == 0:
        return []
    heads = {part: end for (topic, part), end in log.heads().items() if topic == Task.topic}
    tasks = [task for part, end in heads.items() for task in _last(log, part, end, count)]
    tasks.sort(key=lambda task: (task.weights_version, task.prompt))
    return [_entry(task) for task in tasks[-count:]]


def _last(log: Log, partition: int, end: int, count: int) -> list[Task]:
    """At least `count` tasks of a partition, and all of the version that the first is of."""
    start = max(0, end - count)
    tasks = _tasks(log, partition, start, end)
    while start > 0 and tasks and tasks[0].weights_version == tasks[-count:][0].weights_version:
        before, start = start, max(0, start - _PAGE)
        tasks = _tasks(log, partition, start, before) + tasks
    return tasks


def _tasks(log: Log, partition: int, start: int, end: int) -> list[Task]:
    found: list[Task] = []
    for record in log.read(Task.topic, partition, start, end):
        with suppress(Unreadable):
            if isinstance(event := record.event(), Task):
                found.append(event)
    return found


def _entry(task: Task) -> Entry:
    if task.proposal is None:
        return Entry(prompt=task.prompt, written=None)
    text = task.proposal.turn.text
    return Entry(prompt=task.prompt, written=Written(family=task.family, text=text))
