"""Which record was committed before which, where a log keeps the order of its commits. Knows no
event.

A log that was copied stream by stream has lost that order: there each stream lies in one piece, in
commits of one record each or of many, and nothing is said of it.
"""

from collections.abc import Sequence

from bus.errors import BusError
from bus.log import HasOrder, Log
from observability.audit.reading import Stream

UNKNOWN = 0
_WINDOW = 1024


class Order:
    """Of one stream, read from `start` to `end`; what lies before it was `in_one_piece` or not."""

    def __init__(
        self, log: Log, stream: Stream, end: int, start: int = 0, *, in_one_piece: bool = True
    ) -> None:
        self._log = log if isinstance(log, HasOrder) else None
        self._stream, self._end = stream, end
        self._start = start
        self._window: Sequence[int] = ()
        self.in_one_piece = in_one_piece
        self._next: int | None = None

    def of(self, offset: int) -> int:
        """`UNKNOWN` where nothing says it. Offsets ascend from call to call."""
        if self._log is None:
            return UNKNOWN
        while offset >= self._start + len(self._window):
            start = self._start + len(self._window)
            if start >= self._end or not self._read(start):
                self._log = None
                return UNKNOWN
        commit = self._window[offset - self._start]
        self.in_one_piece = self.in_one_piece and self._next in (None, commit, commit + 1)
        self._next = commit + 1
        return UNKNOWN if self.in_one_piece else commit

    def _read(self, start: int) -> bool:
        assert self._log is not None
        end = min(start + _WINDOW, self._end)
        try:
            found = self._log.commits(*self._stream, start, end)
        except BusError:
            return False
        self._start, self._window = start, found
        return len(found) == end - start
