"""The runs of a page in numbers, as Prometheus reads them: of the registry's metrics those that a
log knows. Knows no route."""

from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from threading import Lock

from bus.errors import BusError
from bus.log import Log
from observability.archive.place import ArchiveError
from observability.dashboard.runs import Run
from observability.dashboard.watched import Unavailable
from observability.metrics.meter import Meter
from observability.progress.progress import Progress


class Numbers:
    """Followed from question to question: whoever never asks pays nothing."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._known: dict[str, tuple[Log, Meter, Progress]] = {}
        self._meters: list[Meter] = []

    def text(self, runs: Iterable[Run]) -> tuple[bytes, str]:
        """In Prometheus' text format, and its content type; what cannot be read keeps the numbers
        of the last time. Raises `ModuleNotFoundError` without the extra `telemetry`."""
        from observability.metrics.page import CONTENT_TYPE, Page

        # A first look at a long log takes long: who asks meanwhile gets what was known before.
        if self._lock.acquire(blocking=False):
            try:
                for run in runs:
                    with suppress(Unavailable, BusError, ArchiveError):
                        run.watched.look(partial(self._look, run.id))
                self._meters = [meter for _, meter, _ in self._known.values()]
            finally:
                self._lock.release()
        return Page(*self._meters).text(), CONTENT_TYPE

    def _look(self, name: str, log: Log) -> None:
        known = self._known.get(name)
        if known is None or known[0] is not log:
            # A log that was opened again may be another one.
            meter = Meter()
            known = self._known[name] = log, meter, Progress(log, told=meter.hear)
        _, meter, progress = known
        progress.refresh()
        meter.look(log, progress)
