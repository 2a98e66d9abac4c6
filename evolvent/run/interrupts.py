"""Ctrl-C, SIGTERM and a terminal that closes, from the first moment of a command to its last. Knows
no run.

before `begin`    KeyboardInterrupt, as ever: nothing has been begun
the first         asks for an end in order
another one       asks for an end at once; those after it change nothing
"""

import asyncio
import signal
import time
from types import FrameType, TracebackType
from typing import Self

_SAME_SECONDS = 0.5
"""A key that is held down, and a shell that passes on what its child has heard already."""


class Interrupts:
    """`asked` and `hurried` are set by the first and by another one."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.hurried = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._last = float("-inf")
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number is signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
                continue  # `nohup`
            self._before[number] = signal.signal(number, self._told)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def begin(self) -> None:
        """From now on an end is asked for, in the loop that runs."""
        self._loop = asyncio.get_running_loop()

    def ask(self) -> None:
        """As an interrupt does."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._count)

    def _told(self, number: int, frame: FrameType | None) -> None:
        if self._loop is None:
            raise KeyboardInterrupt
        self.ask()

    def _count(self) -> None:
        now = time.monotonic()
        again, self._last = now - self._last > _SAME_SECONDS, now
        if not self.asked.is_set():
            self.asked.set()
        elif again:
            self.hurried.set()
