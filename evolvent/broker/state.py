"""Who runs in a broker's folder: a file that the broker itself keeps locked for as long as it
lives, so that neither a crash nor a process id used again can deceive. Knows no Kafka.
"""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from evolvent.errors import UsageError

POLL_SECONDS = 0.05
_STARTER_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """What a folder says of its broker."""

    pid: int
    port: int


class BrokerState:
    """`broker.json` of one folder."""

    def __init__(self, data: Path) -> None:
        self._file = data / "broker.json"

    @property
    def exists(self) -> bool:
        return self._file.exists()

    def create(self) -> None:
        self._file.touch()

    def last_known(self) -> Running | None:
        """The broker that ran last, alive or not; None where there never was one."""
        try:
            said = json.loads(self._file.read_bytes())
            return Running(pid=int(said["pid"]), port=int(said["port"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def running(self) -> Running | None:
        """The live broker of this folder, whichever process started it."""
        deadline = time.monotonic() + _STARTER_SECONDS
        while time.monotonic() < deadline:
            with self._lock(fcntl.LOCK_SH) as free:
                if free is not None or not self.exists:
                    return None
            if (said := self.last_known()) is not None:
                return said
            # Held by a process that is just starting the broker.
            time.sleep(POLL_SECONDS)
        raise UsageError(f"{self._file} is held, but by no broker: end the process that holds it")

    @contextmanager
    def claim(self) -> Iterator[int | None]:
        """The file, emptied and locked, for the broker to inherit; None while another holds it."""
        with self._lock(fcntl.LOCK_EX) as descriptor:
            if descriptor is not None:
                os.truncate(descriptor, 0)
            yield descriptor

    @staticmethod
    def write(descriptor: int, running: Running) -> None:
        """Say who runs. One write, so that a reader sees all of it or nothing."""
        os.write(descriptor, json.dumps({"pid": running.pid, "port": running.port}).encode())

    @contextmanager
    def _lock(self, kind: int) -> Iterator[int | None]:
        try:
            descriptor = os.open(self._file, os.O_RDWR)
        except FileNotFoundError:
            yield None
            return
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            yield None
            return
        try:
            yield descriptor
        finally:
            os.close(descriptor)
