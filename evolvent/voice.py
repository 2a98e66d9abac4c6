"""What a process tells its supervisor: one JSON object a line on standard output."""

import json
import sys
from dataclasses import asdict
from typing import Any

from agents.engines.engine import Swap


class Voice:
    """Speaks for one process. Silent once nobody listens."""

    def say(self, text: str) -> None:
        self._write({"say": text})

    def progress(self, phase: str, done: int, total: int) -> None:
        self._write({"phase": phase, "done": done, "total": total})

    def swapped(self, swap: Swap) -> None:
        self._write({"swap": asdict(swap)})

    def failed(self, sentence: str) -> None:
        """The last word of a process that a restart would not help."""
        self._write({"failed": sentence})

    def _write(self, message: dict[str, Any]) -> None:
        try:
            sys.stdout.write(json.dumps(message) + "\n")
            sys.stdout.flush()
        except (BrokenPipeError, ValueError):
            pass
