"""Whatever whole Python tries in a room, nothing gets out. The attacks run in rooms alone."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from agents.sandbox.room import Door, why_not
from agents.sandbox.whole import python_room
from tests.agents.sandbox.attacks import ENDED, ENDS, HARMLESS

WALL_SECONDS = 3.0
READ = 64 * 1024


class Ground(NamedTuple):
    """What must stay as it is: a file, and a listener that nobody calls."""

    canary: Path
    listener: socket.socket
    folder: Path

    @property
    def port(self) -> int:
        return int(self.listener.getsockname()[1])

    def holds(self) -> bool:
        try:
            self.listener.accept()
        except BlockingIOError:
            return self.canary.read_text() == "here"
        return False

    def program(self, source: str) -> Path:
        path = self.folder / "program.py"
        path.write_text(f"CANARY, PORT = {str(self.canary)!r}, {self.port}\n{source}\n")
        return path


@pytest.fixture
def ground(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ground]:
    assert why_not() is None, why_not()
    monkeypatch.setenv("SECRET", "1")
    canary = tmp_path / "canary"
    canary.write_text("here")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield Ground(canary=canary, listener=listener, folder=tmp_path)


def attack(
    ground: Ground, source: str, *, cpu: int = 2, wall: float = WALL_SECONDS
) -> tuple[int, str, float]:
    """How it ended, what it said, and how long it took; asserts that nothing of it is left."""
    door = Door(python_room(ground.program(source), cpu_seconds=cpu), wrapped=True)
    started = time.monotonic()
    process = subprocess.Popen(
        [door.path], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout is not None
    within = psutil.Process(process.pid)
    time.sleep(0.3)
    family = within.children(recursive=True) if within.is_running() else []
    try:
        said = ended(process, wall)
    finally:
        process.kill()
        process.stdout.close()
    seconds = time.monotonic() - started
    _, left = psutil.wait_procs(family, timeout=30)
    assert [each for each in left if each.status() != psutil.STATUS_ZOMBIE] == []
    door.close()
    return process.wait(), said, seconds


def ended(process: subprocess.Popen[bytes], wall: float) -> str:
    """What it says until it ends or is ended: of a flood only the beginning."""
    os.set_blocking(process.stdout.fileno(), False)  # type: ignore[union-attr]
    until, said = time.monotonic() + wall, b""
    while time.monotonic() < until and len(said) < READ:
        try:
            more = os.read(process.stdout.fileno(), READ)  # type: ignore[union-attr]
        except BlockingIOError:
            time.sleep(0.02)
            continue
        if not more:
            break
        said += more
    return said[:READ].decode()


@pytest.mark.parametrize("name", ENDS)
def test_what_a_program_tries_is_refused(name: str, ground: Ground) -> None:
    _, said, _ = attack(ground, ENDS[name], wall=60.0)
    assert said.startswith("held"), said
    assert ground.holds()


@pytest.mark.parametrize("name", ENDED)
def test_a_program_that_does_not_end_is_ended_and_leaves_nothing(name: str, ground: Ground) -> None:
    code, said, seconds = attack(ground, ENDED[name])
    assert "ESCAPED" not in said
    assert said.startswith("held") or code != 0 or len(said) == READ
    assert seconds < WALL_SECONDS + 10
    assert ground.holds()


@pytest.mark.parametrize("name", HARMLESS)
def test_from_a_plain_interpreter_the_harmless_ones_escape(name: str, ground: Ground) -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(ground.program(ENDS[name]))],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.stdout.startswith("ESCAPED"), done


def test_a_loop_ends_by_the_processor_time_it_takes(ground: Ground) -> None:
    code, _, seconds = attack(ground, "while True: pass", cpu=1, wall=60.0)
    assert code in (128 + signal.SIGXCPU, 128 + signal.SIGKILL)
    assert seconds < 50
