"""What is printed reaches whatever it is printed on: any terminal, a pipe that is closed."""

import codecs
import io
import os
import select
import sys
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

_PLAIN = str.maketrans(
    {
        "→": ">",
        "←": "<",
        "◀": "<",
        "–": "-",
        "—": "-",
        "·": "|",
        "•": "*",
        "…": ".",
        "┤": "|",
        "│": "|",
        "└": "+",
        "─": "-",
        "━": "-",
        "╸": "-",
        "╺": "-",
        "\N{NO-BREAK SPACE}": " ",
        "\N{BRAILLE PATTERN BLANK}": " ",
    }
)
_BRAILLE = range(0x2801, 0x2900)
_BLOCKS = range(0x2580, 0x25A0)
_ODD_BYTES = range(0xDC80, 0xDD00)
"""How a file's name keeps bytes that are no text (PEP 383)."""


def print_anyhow() -> None:
    """From now on nothing that is printed fails for its characters: others take their places."""
    codecs.register_error("evolvent.plain", _plain)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="evolvent.plain")


def is_text(words: str) -> bool:
    """Whether they hold no bytes of the command line that are none."""
    return not any("\ud800" <= character <= "\udfff" for character in words)


def flushed() -> bool:
    """Whether all that was printed has arrived; if not, nobody reads it any more."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        nobody_reads()
        return False
    except ValueError:
        return False
    return True


def nobody_reads() -> None:
    """What is printed from now on goes nowhere."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Keys that are pressed meanwhile are not shown, and take away nothing of what is printed: a
    `^C` at the end of a frame moves the next one, and a terminal forgets what it has not shown."""
    terminal = sys.stdin.fileno() if sys.stdin and sys.stdin.isatty() else None
    if terminal is None or not _is_ours(terminal):
        yield
        return
    before = termios.tcgetattr(terminal)
    quiet = [*before]
    quiet[3] = (before[3] & ~(termios.ECHO | termios.ECHOCTL)) | termios.NOFLSH
    termios.tcsetattr(terminal, termios.TCSANOW, quiet)
    try:
        yield
    finally:
        if _is_ours(terminal):
            termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def _is_ours(terminal: int) -> bool:
    """Whoever sets the terminal of another job is stopped."""
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False


class Enduring(io.TextIOBase):
    """A stream that may lose its reader: the first time is told by `on_gone`, and from then on what
    is written goes nowhere. It writes by itself: Python's own buffers lose what is left of a write
    that a signal has cut short."""

    def __init__(self, stream: TextIO, on_gone: Callable[[], None]) -> None:
        self._stream = stream
        self._on_gone = on_gone
        self._gone = False

    def write(self, text: str) -> int:
        left = b"" if self._gone else text.encode(self.encoding, self._stream.errors or "strict")
        try:
            self._stream.flush()
            while left:
                left = left[self._written(left) :]
        except OSError:
            self._lose()
        return len(text)

    def _written(self, data: bytes) -> int:
        try:
            return os.write(self.fileno(), data)
        except BlockingIOError:
            select.select([], [self.fileno()], [])
            return 0

    def flush(self) -> None:
        """Nothing is held back."""

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._stream.encoding

    def _lose(self) -> None:
        self._gone = True
        nobody_reads()
        self._on_gone()


def _plain(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        # Whoever reads again what was written through such a stream.
        return codecs.replace_errors(error)
    lost = error.object[error.start : error.end]
    if all(ord(character) in _ODD_BYTES for character in lost):
        return bytes(ord(character) - 0xDC00 for character in lost), error.end
    return "".join(map(_other, lost)), error.end


def _other(character: str) -> str:
    code = ord(character)
    if code in _BRAILLE or code in _BLOCKS:
        return "*"
    return character.translate(_PLAIN) if code in _PLAIN else "?"
