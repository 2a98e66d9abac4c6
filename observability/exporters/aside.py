"""Work that is done beside a run and never holds it up: one thread, one queue. A failure is said
once."""

import logging
import threading
from collections.abc import Callable
from queue import Empty, Full, Queue
from typing import Generic, TypeVar

_log = logging.getLogger(__name__)

Item = TypeVar("Item")


class Aside(Generic[Item]):
    """Does `work` on every item in its order. What finds no room among `most` that wait is left
    out; `close` waits so many seconds for what is left."""

    def __init__(self, what: str, work: Callable[[Item], None], *, most: int = 0) -> None:
        self._what, self._work = what, work
        self._items: Queue[Item | None] = Queue(most)
        self._ending = threading.Event()
        self._has_failed = False
        self._thread = threading.Thread(target=self._run, name=what, daemon=True)
        self._thread.start()

    def put(self, item: Item) -> None:
        try:
            self._items.put_nowait(item)
        except Full:
            self.fail("too much waits")

    def close(self, seconds: float) -> None:
        """Items that are not done by then stay undone."""
        self._ending.set()
        self._thread.join(seconds)
        if self._thread.is_alive():
            self.fail(f"not done within {seconds:g} s")

    @property
    def is_busy(self) -> bool:
        """Whether it still works, or waits for work."""
        return self._thread.is_alive()

    def fail(self, why: object) -> None:
        if not self._has_failed:
            _log.warning("%s: %s", self._what, " ".join(str(why).split()) or type(why).__name__)
        self._has_failed = True

    def _run(self) -> None:
        while not (self._ending.is_set() and self._items.empty()):
            try:
                item = self._items.get(timeout=0.1)
            except Empty:
                continue
            if item is not None:
                try:
                    self._work(item)
                except Exception as error:
                    self.fail(error)
