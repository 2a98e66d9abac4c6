"""What a process tells whoever watches over it: its supervisor, one JSON object a line on standard
output, or a person, one line of its log.
"""

import json
import logging
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Protocol

from agents.engines.engine import Swap

_log = logging.getLogger(__name__)


class Voice(Protocol):
    """Speaks for one process."""

    def say(self, text: str) -> None: ...
    def progress(self, phase: str, done: int, total: int) -> None: ...
    def swapped(self, policy: str, swap: Swap) -> None: ...
    def failed(self, sentence: str) -> None:
        """The last word of a process that a restart would not help."""
        ...

    def again(self, sentence: str) -> None:
        """The last word of one that only has to be started again."""
        ...

    def blame(self, role: str) -> None:
        """What the process will die of came from this service; the first one counts."""
        ...

    def died(self, reason: str) -> None:
        """The last word of one that crashed."""
        ...


class JsonVoice:
    """To a supervisor, who reads the standard output: what anything else prints from now on, a
    library or a part of the user's own, goes into the log. Silent once nobody listens."""

    def __init__(self) -> None:
        self._blamed = ""
        self._out = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)
        sys.stdout = sys.stderr

    def say(self, text: str) -> None:
        self._write({"say": text})

    def progress(self, phase: str, done: int, total: int) -> None:
        self._write({"phase": phase, "done": done, "total": total})

    def swapped(self, policy: str, swap: Swap) -> None:
        self._write({"swap": {"policy": policy, **asdict(swap)}})
        _log.info(*_swapped(policy, swap))

    def failed(self, sentence: str) -> None:
        self._write({"failed": sentence})

    def again(self, sentence: str) -> None:
        self._write({"again": sentence})

    def blame(self, role: str) -> None:
        self._blamed = self._blamed or role

    def died(self, reason: str) -> None:
        self._write({"died": reason, "role": self._blamed})

    def _write(self, message: dict[str, Any]) -> None:
        try:
            self._out.write(json.dumps(message) + "\n")
            self._out.flush()
        except (BrokenPipeError, ValueError):
            pass


class LogVoice:
    """To a person or a collector of logs; a quarter of a long phase is a line. Swaps are told to
    `swapped` too: the policy, the version, for how many seconds generation stood still."""

    def __init__(
        self, swapped: Callable[[str, int, float], None] = lambda policy, version, pause: None
    ) -> None:
        self._swapped = swapped

    def say(self, text: str) -> None:
        _log.info(text)

    def progress(self, phase: str, done: int, total: int) -> None:
        if done % max(1, total // 4) == 0:
            _log.info("%s %d/%d", phase, done, total)

    def swapped(self, policy: str, swap: Swap) -> None:
        self._swapped(policy, swap.to_version, swap.pause_ms / 1e3)
        _log.info(*_swapped(policy, swap))

    def failed(self, sentence: str) -> None:
        _log.error(sentence)

    def again(self, sentence: str) -> None:
        _log.warning("%s Starting again.", sentence)

    def blame(self, role: str) -> None:
        """A process that a person started has one role."""

    def died(self, reason: str) -> None:
        _log.error("died of %s", reason)


def _swapped(policy: str, swap: Swap) -> tuple[str, str, int, float]:
    said = "policy %s serves version %d after a pause of %.1f ms"
    return said, policy, swap.to_version, swap.pause_ms


class SayingHandler(logging.Handler):
    """Tells the supervisor what the process writes into its log."""

    def __init__(self, voice: JsonVoice) -> None:
        super().__init__(logging.INFO)
        self._voice = voice

    def emit(self, record: logging.LogRecord) -> None:
        self._voice.say(record.getMessage())
