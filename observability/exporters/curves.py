"""A run's curves in other programs: every step goes to a process of each, which knows what it
already has. Knows no program.

    log -> fold -> step -> thread -> `python -m observability.exporters TARGET ...` -> files
"""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bus.events import Event
from observability.exporters.aside import Aside
from observability.exporters.config import CurvesConfig, Target
from observability.exporters.scalars import Step, step_of

CLOSE_SECONDS = 30.0


class Curves:
    """Of the run in a folder, from its first step on whenever it is told them. What a target says
    goes to `logs/curves-TARGET.log`."""

    def __init__(self, config: CurvesConfig, run: Path, name: str) -> None:
        if config.to:
            (run / "curves").mkdir(exist_ok=True)
        self._writers = [_Writer(target, config.project, run, name) for target in config.to]

    @property
    def wanted(self) -> bool:
        return bool(self._writers)

    def hear(self, event: Event) -> None:
        if self._writers and (step := step_of(event)) is not None:
            for writer in self._writers:
                writer.aside.put(step)

    def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """Wait until all is written, at most so long: what is not then is at the next start."""
        end = time.monotonic() + seconds
        for writer in self._writers:
            writer.close(end)


class _Writer:
    """One process. It is begun with the first step, and not begun again when it has ended."""

    def __init__(self, target: Target, project: str, run: Path, name: str) -> None:
        self._log = run / "logs" / f"curves-{target}.log"
        self._words: Sequence[str] = (target, str(run / "curves"), project, name)
        self._process: subprocess.Popen[bytes] | None = None
        what = f"curves do not go to {target} (see {self._log})"
        self.aside: Aside[Step] = Aside(what, self._write)

    def _write(self, step: Step) -> None:
        if self._process is None:
            self._process = self._begin()
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(step.as_json()).encode() + b"\n")
        self._process.stdin.flush()

    def _begin(self) -> subprocess.Popen[bytes]:
        self._log.parent.mkdir(exist_ok=True)
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "observability.exporters", *self._words],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def close(self, end: float) -> None:
        """Wait no longer than until then."""
        self.aside.close(max(0.0, end - time.monotonic()))
        if (process := self._process) is None or process.stdin is None:
            return
        if self.aside.is_busy:
            # It reads nothing: what is being written to it would never end.
            process.kill()
        try:
            process.stdin.close()
            if process.wait(max(0.0, end - time.monotonic())):
                self.aside.fail(f"ended with code {process.returncode}")
        except (OSError, subprocess.TimeoutExpired) as error:
            process.kill()
            process.wait()
            self.aside.fail(error)
