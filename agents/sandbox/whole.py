"""Whole Python in bubblewrap, for programs of others that evaluate what a model wrote. What it
says can be forged by what it runs: let nothing in that could. Knows no program."""

import json
import os
import select
import subprocess
import sys
import time
import weakref
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import IO, Any

from agents.sandbox.room import MIB, Door, Room, libraries, why_not

_START_SECONDS, _REPLY_SECONDS = 60.0, 10.0
_REPLY_BYTES = 256 * 1024
_ZYGOTE = Path(__file__).with_name("zygote.py")


def python_room(
    program: Path, binds: Sequence[tuple[str, str]] = (), *, cpu_seconds: int = 2
) -> Room:
    """A room in which this Python runs `program`, beside the files of `binds` that it sees."""
    python = os.path.realpath(sys.executable)
    base = sys.base_prefix
    return Room(
        command=(python, "-I", "-S", "/program.py"),
        binds=((base, base), *libraries(), (str(program), "/program.py"), *binds),
        limits={
            "AS": 1024 * MIB,
            "CPU": cpu_seconds,
            "FSIZE": 16 * MIB,
            "NOFILE": 64,
            "NPROC": 32,
            "STACK": 8 * MIB,
            "CORE": 0,
        },
        devices=True,
        scratch_bytes=16 * MIB,
        forks=True,
    )


class WholePython:
    """Asks a function that stands in a room: a job of plain data in, plain data out. It starts with
    the first job, and again when it has ended. `binds` are the files that it sees, as (file,
    place); in `folders` of these it finds `function`, written `module:name`, and what that
    imports. Raises ValueError where no room can be had."""

    def __init__(
        self,
        function: str,
        argument: str,
        *,
        binds: Sequence[tuple[str, str]],
        folders: Sequence[str],
    ) -> None:
        if (reason := why_not()) is not None:
            raise ValueError(f"what a model wrote is evaluated in a sandbox alone: {reason}")
        self._words = [*folders, function, argument]
        self._door = Door(python_room(_ZYGOTE, binds, cpu_seconds=600), wrapped=True)
        self._lock = Lock()
        self._started: subprocess.Popen[bytes] | None = None
        self._end = weakref.finalize(self, self._door.close)

    def ask(self, job: Any) -> Any:
        """The answer, None where there is none in time."""
        with self._lock:
            fresh = self._started is None or self._started.poll() is not None
            if fresh:
                self._start()
            assert self._started and self._started.stdin and self._started.stdout
            try:
                self._started.stdin.write(json.dumps(job).encode() + b"\n")
                self._started.stdin.flush()
                seconds = _START_SECONDS if fresh else _REPLY_SECONDS
                return json.loads(_line(self._started.stdout, time.monotonic() + seconds))
            except (OSError, ValueError):
                self._stop()
                return None

    def _start(self) -> None:
        self._stop()
        self._started = subprocess.Popen(
            [self._door.path, *self._words],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, start_new_session=True,
        )  # fmt: skip
        weakref.finalize(self, _ended, self._started)

    def _stop(self) -> None:
        if self._started is not None:
            _ended(self._started)
            self._started = None


def _ended(process: subprocess.Popen[bytes]) -> None:
    """What is in the room ends with bubblewrap."""
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


def _line(pipe: IO[bytes], until: float) -> bytes:
    said = b""
    while not said.endswith(b"\n") and len(said) < _REPLY_BYTES:
        ready, _, _ = select.select([pipe], [], [], max(0.0, until - time.monotonic()))
        if not ready or not (more := os.read(pipe.fileno(), _REPLY_BYTES)):
            break
        said += more
    return said
