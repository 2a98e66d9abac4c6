"""Wakes those who wait for news: at once for commits of this process, within milliseconds for
those of others. Nobody waiting costs nothing. Knows no table.
"""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import apsw

POLL_SECONDS = 0.018


class Watch:
    """Polls `PRAGMA data_version` on a connection of its own while somebody waits."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._waiters: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}
        self._lock = threading.Lock()
        self._wanted = threading.Event()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bus-watch", daemon=True)
        self._thread.start()

    @contextmanager
    def waiting(self) -> Iterator[asyncio.Event]:
        """An event set by any commit from now on. Enter it before looking at the log, so that
        nothing slips between the look and the wait."""
        event = asyncio.Event()
        with self._lock:
            self._waiters[event] = asyncio.get_running_loop()
        self._wanted.set()
        try:
            yield event
        finally:
            with self._lock:
                del self._waiters[event]

    def notify(self) -> None:
        """Wake everybody; from any thread."""
        with self._lock:
            for event, loop in self._waiters.items():
                if not loop.is_closed():
                    loop.call_soon_threadsafe(event.set)

    def close(self) -> None:
        self._closed.set()
        self._wanted.set()
        self._thread.join()
        self._connection.close()
        self.notify()

    def _run(self) -> None:
        seen = None
        while not self._closed.is_set():
            if not self._waiters:
                self._wanted.clear()
                # Somebody may have come between the look and the clearing.
                if not self._waiters:
                    self._wanted.wait()
                continue
            try:
                version = self._connection.pragma("data_version")
            except apsw.Error:
                version = None
            if version != seen or version is None:
                seen = version
                self.notify()
            self._closed.wait(POLL_SECONDS)
