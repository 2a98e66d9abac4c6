"""What waits to be exported. Knows no signal and no exporter.

    put -> a queue with a limit -> a thread of its own -> send

Whoever puts never waits. What finds no room and what could not be sent is lost, and counted.
"""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from threading import Event, Lock, Thread
from typing import Generic, TypeVar

Item = TypeVar("Item")

_log = logging.getLogger(__name__)


class Outbox(Generic[Item]):
    """Of one signal, in batches of at most `most` every `pause_seconds`, sooner where `most` wait.
    `send` says whether it has arrived; `give_up` makes a `send` under way return."""

    def __init__(
        self,
        what: str,
        send: Callable[[Sequence[Item]], bool],
        give_up: Callable[[], None],
        *,
        room: int = 4096,
        most: int = 512,
        pause_seconds: float = 5.0,
    ) -> None:
        self.sent = 0
        self.lost = 0
        self._what = what
        self._send = send
        self._give_up = give_up
        self._room = room
        self._most = most
        self._pause_seconds = pause_seconds
        self._waiting: deque[Item] = deque()
        self._num_sending = 0
        self._due = Event()
        self._closing = False
        self._gave_up = False
        self._counted = False
        self._counting = Lock()
        self._arrives = True
        self._thread = Thread(target=self._work, name=f"outbox of {what}", daemon=True)
        self._thread.start()

    def put(self, item: Item) -> None:
        """Have it sent, if there is room."""
        if self._closing or len(self._waiting) >= self._room:
            self.lost += 1
            return
        self._waiting.append(item)
        if len(self._waiting) >= self._most and not self._due.is_set():
            self._due.set()

    def close(self, seconds: float) -> None:
        """Send what waits; what has not arrived after `seconds` is lost."""
        self._closing = True
        self._due.set()
        self._thread.join(0.8 * seconds)
        self._gave_up = True
        self._give_up()
        self._thread.join(0.2 * seconds)
        with self._counting:
            self._counted = True
            self.lost += len(self._waiting) + self._num_sending
            self._waiting.clear()
        if self.lost:
            _log.warning("%d %s were lost, %d have arrived", self.lost, self._what, self.sent)

    def _work(self) -> None:
        while not self._closing:
            self._due.wait(self._pause_seconds)
            self._due.clear()
            self._empty()
        self._empty()

    def _empty(self) -> None:
        while self._waiting and not self._gave_up:
            count = min(len(self._waiting), self._most)
            batch = [self._waiting.popleft() for _ in range(count)]
            self._num_sending = count
            try:
                arrived = self._send(batch)
            except Exception:
                arrived = False
            with self._counting:
                self._num_sending = 0
                if self._counted:
                    return
                if arrived:
                    self.sent += count
                else:
                    self.lost += count
            if arrived != self._arrives:
                self._arrives = arrived
                said = "arrive again" if arrived else "do not arrive: they are lost until they do"
                _log.warning("%s %s", self._what, said)
