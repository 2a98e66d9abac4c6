"""All numbers of a run, as of the last look at its log: whoever asks never waits for the log."""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime

from bus.errors import BusError
from bus.events import Event
from bus.log import Log
from observability.metrics.numbers import of_disk, of_groups, of_known
from observability.metrics.points import Histogram, Point
from observability.metrics.tally import Tally
from observability.progress.disk import Disk
from observability.progress.lag import Standing, standings
from observability.progress.progress import Progress

_LOOK_SECONDS = 1.0
_LAG_SECONDS = 5.0


class Meter:
    """Follows what `Progress` is told. `beside` are others who have points whenever they are asked.
    Where nobody will ask it does not look."""

    def __init__(self, *, asked: bool = True, clock: Callable[[], float] = time.monotonic) -> None:
        self.run = ""
        self.asked = asked
        self.beside: list[Callable[[], Iterable[Point]]] = []
        self._clock = clock
        self._tally = Tally()
        self._looked = self._lagged = -math.inf
        self._standings: Sequence[Standing] = ()
        self._points: Sequence[Point] = ()
        self._disk: Sequence[Point] = ()

    def hear(self, event: Event) -> None:
        """The next event that is folded."""
        self._tally.hear(event)

    def look(self, log: Log, progress: Progress) -> None:
        """The log answers, and `progress` is what is known of it: at most once a second, and no
        more often how long records wait. Reads the log."""
        now = self._clock()
        if not self.asked or now - self._looked < _LOOK_SECONDS:
            return
        self._looked = now
        self.run = progress.run or self.run
        if now - self._lagged >= _LAG_SECONDS:
            self._lagged = now
            with suppress(BusError):
                self._standings = standings(log)
        groups = of_groups(self._standings, datetime.now(UTC))
        self._points = [*of_known(progress), *self._tally.points(), *groups]

    def see(self, disk: Disk) -> None:
        """What the run takes of its disk."""
        self._disk = list(of_disk(disk))

    def points(self) -> Iterator[Point]:
        """What is known by now, of every value that is a number."""
        yield from filter(_is_number, self._points)
        yield from self._disk
        for points in self.beside:
            yield from points()


def _is_number(one: Point) -> bool:
    return isinstance(one.value, Histogram) or math.isfinite(one.value)
