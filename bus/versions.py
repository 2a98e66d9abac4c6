"""The published versions, as the topic `weights` has them and gates have judged them. No number is
derived from an offset: whoever can write to the topic may have put other records between.
"""

from collections.abc import Iterator
from threading import Lock

from bus.errors import Unreadable
from bus.events import Event, Promotion, Weights
from bus.log import Log
from bus.records import Record

_PAGE = 64


class Versions:
    """Finds versions on a log. Every call reads, and may wait, as `Log` does; several threads may
    share it."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._lock = Lock()
        self._numbers: dict[int, str] = {}
        self._num_read = 0
        self._promoted: list[str] = []
        self._num_judged = 0

    def newest(self) -> Weights | None:
        """The last version on the log, None while there is none."""
        end, page = self._log.heads()["weights", 0], 1
        while end > 0:
            start = max(0, end - page)
            for record in reversed(list(self._log.read("weights", start=start, end=end))):
                if (weights := _weights(record)) is not None:
                    return weights
            # Only strangers stand behind it: look further back each time.
            end, page = start, min(2 * page, _PAGE)
        return None

    def numbered(self, number: int) -> Weights | None:
        """The version of a number: the first of that number whose parent is on the log."""
        with self._lock:
            if number not in self._numbers:
                self._read_until(number)
            event_id = self._numbers.get(number)
        return None if event_id is None else self._found(event_id)

    def parent(self, weights: Weights) -> Weights | None:
        """What a version was made from, an older one; None for a first one, or if it is not on the
        log."""
        if weights.parent_id is None:
            return None
        parent = self._found(weights.parent_id)
        if parent is None or parent.number != weights.parent or parent.number >= weights.number:
            return None
        return parent

    def follows(self, weights: Weights) -> bool:
        """Whether a version stands in a chain: it is a first one, or its parent is on the log."""
        if weights.parent_id is None:
            return weights.number == 0
        return self.parent(weights) is not None

    def lineage(self, weights: Weights) -> Iterator[Weights]:
        """A version and its forebears, newest first."""
        following: Weights | None = weights
        while following is not None:
            yield following
            following = self.parent(following)

    def moved(self, weights: Weights, policy: str) -> Weights:
        """The version whose weights `policy` has at a version: the newest of it and its forebears
        that moved that policy, else the first one; itself where its forebears are not on the
        log."""
        for version in self.lineage(weights):
            if version.policy == policy or version.parent_id is None:
                return version
        return weights

    def promoted(self) -> Weights | None:
        """The last version that a gate promoted and has not taken back, None without one."""
        with self._lock:
            for record in self._log.read("promotions", start=self._num_judged):
                self._num_judged = record.offset + 1
                event = _event(record)
                if isinstance(event, Promotion):
                    self._promoted = [one for one in self._promoted if one != event.weights]
                    self._promoted += [event.weights] if event.decision == "promoted" else []
            newest_first = list(reversed(self._promoted))
        return next((found for one in newest_first if (found := self._found(one))), None)

    def _read_until(self, number: int) -> None:
        for record in self._log.read("weights", start=self._num_read):
            weights = _weights(record)
            if weights is not None and self.follows(weights):
                self._numbers.setdefault(weights.number, weights.id)
            # Looking for the parent may raise: then this one is read again.
            self._num_read = record.offset + 1
            if number in self._numbers:
                return

    def _found(self, event_id: str) -> Weights | None:
        record = self._log.find(event_id)
        return None if record is None else _weights(record)


def _weights(record: Record) -> Weights | None:
    event = _event(record)
    return event if isinstance(event, Weights) else None


def _event(record: Record) -> Event | None:
    try:
        return record.event()
    except Unreadable:
        return None
