"""A command on a terminal of its own, as a person starts it: what it shows, what keys do to it."""

import codecs
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

CTRL_C = b"\x03"


class Screen:
    """`text` is all that the command has written to its terminal so far."""

    def __init__(
        self, words: Sequence[str], *, rows: int = 40, columns: int = 100, cwd: Path | None = None
    ) -> None:
        self.text = ""
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self._process = subprocess.Popen(
            words,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=cwd,
            env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "", "LINES": ""},
            start_new_session=True,
            preexec_fn=_take_terminal,  # noqa: PLW1509 - nothing else runs in a new process
        )
        os.close(slave)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        os.close(self._master)

    def type(self, keys: bytes) -> None:
        os.write(self._master, keys)

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def read(self, seconds: float) -> bool:
        """Wait so long for something new; False once nothing more can come."""
        ready, _, _ = select.select([self._master], [], [], seconds)
        if not ready:
            return True
        try:
            new = os.read(self._master, 65_536)
        except OSError:  # what Linux says of a terminal that nobody has open any more
            return False
        self.text += self._decode(new)
        return bool(new)

    def until(self, words: str, seconds: float) -> None:
        """Raises `TimeoutError` if they do not appear."""
        deadline = time.monotonic() + seconds
        while words not in self.text:
            if not self.read(0.1) or time.monotonic() > deadline:
                raise TimeoutError(f"{words!r} did not appear: {self.text[-2000:]}")

    def ended(self, seconds: float) -> int:
        """Read to the end; the exit code."""
        deadline = time.monotonic() + seconds
        while self.read(0.1):
            if time.monotonic() > deadline:
                raise TimeoutError(f"it has not ended: {self.text[-2000:]}")
        return self._process.wait(10)


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
