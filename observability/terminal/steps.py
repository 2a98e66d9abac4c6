"""How far a long look at a run is, on the standard error: one line that changes on a terminal, a
line now and then where it is none."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_FIRST_SECONDS, _EVERY_SECONDS = 1.0, 5.0
_ON_TERMINAL_SECONDS = 0.1


@contextmanager
def told() -> Iterator[Callable[[str, int, int], None]]:
    """Takes what is being looked at, how much of it is done, and of how much."""
    terminal = sys.stderr.isatty()
    due = time.monotonic() + (0 if terminal else _FIRST_SECONDS)

    def show(what: str, done: int, whole: int) -> None:
        nonlocal due
        now = time.monotonic()
        if now < due:
            return
        due = now + (_ON_TERMINAL_SECONDS if terminal else _EVERY_SECONDS)
        line = f"{what} {done:,} of {whole:,}"
        if terminal:
            sys.stderr.write(f"\r\x1b[K{line}")
        else:
            sys.stderr.write(f"{line}\n")
        sys.stderr.flush()

    try:
        yield show
    finally:
        if terminal:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
