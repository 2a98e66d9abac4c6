"""Answers that take long, kept for whoever asks the same again."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from time import monotonic
from typing import Any, TypeVar

from observability.dashboard.watched import Watched

_MOST = 64
_SECONDS = 5.0
"""For so long the figures of now are new enough, of a run that goes on."""

Value = TypeVar("Value")


class Made:
    """Those of one run."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self._kept: OrderedDict[Hashable, tuple[int, bool, float, Any]] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable, is_now: bool, make: Callable[[], Value]) -> Value:
        """The value of a key. Of now it is made again once there are more events and some time has
        passed; of the past once the index has read on."""
        indexed, now = self._watched.indexed, monotonic()
        key = self._watched.changes, key
        events, ready = int(indexed["done"]), bool(indexed["ready"])
        with self._lock:
            known = self._kept.get(key)
        if known is not None:
            of, was_ready, at, value = known
            lasts = was_ready and not is_now
            if lasts or of == events or now - at < _SECONDS:
                return value  # type: ignore[no-any-return]
        made = make()
        with self._lock:
            self._kept[key] = events, ready, now, made
            self._kept.move_to_end(key)
            while len(self._kept) > _MOST:
                self._kept.popitem(last=False)
        return made
