"""Rooms for programs that nobody trusts: bubblewrap, a filter of system calls and limits around
one command. Knows no Python and no task.
"""

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from agents.sandbox.seccomp import filter_program

MIB = 2**20
_FIRST_UID, _UIDS = 60_000, 5_000
_PROBE_SECONDS = 20.0
_LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64")


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """A `command`, the files that it sees as (file, place), and its limits, named as in
    `resource`. It has no network, and nothing else of this machine. `devices` are /proc and /dev,
    `scratch_bytes` what it may write to /scratch; without `forks` it stays one process."""

    command: tuple[str, ...]
    binds: tuple[tuple[str, str], ...]
    limits: Mapping[str, int]
    devices: bool = False
    scratch_bytes: int = 0
    forks: bool = False


class Door:
    """A room's way in: `path` is a program that starts the room's command in it, with whatever
    arguments; what it needs lies in a folder that goes with this. Not `wrapped`, there are limits
    alone, and the command sees all files."""

    def __init__(self, room: Room, *, wrapped: bool) -> None:
        self._folder = TemporaryDirectory(prefix="evolvent-sandbox-", ignore_cleanup_errors=True)
        folder = Path(self._folder.name)
        folder.chmod(0o755)
        for index, (source, _) in enumerate(room.binds):
            place = folder / str(index)
            if Path(source).is_dir():
                place.mkdir()
            else:
                place.touch()
        found = {
            **asdict(room),
            "bubblewrap": shutil.which("bwrap") if wrapped else None,
            "seccomp": str(folder / "seccomp"),
            "stage": str(folder),
            "uid": _FIRST_UID + os.getpid() % _UIDS,
        }
        if wrapped:
            (folder / "seccomp").write_bytes(filter_program(forks=room.forks))
        (folder / "room.json").write_text(json.dumps(found), encoding="utf-8")
        launch = (sys.executable, "-I", "-S", str(Path(__file__).with_name("launch.py")))
        words = " ".join(map(shlex.quote, (*launch, str(folder / "room.json"))))
        # What goes wrong inside is told by how it ends: nobody reads what else it says.
        self.path = folder / "start"
        self.path.write_text(f'#!/bin/sh\nexec {words} "$@" 2>/dev/null\n', encoding="utf-8")
        self.path.chmod(0o755)
        self.loud = [*launch, str(folder / "room.json")]

    def close(self) -> None:
        self._folder.cleanup()


def libraries() -> tuple[tuple[str, str], ...]:
    """The shared libraries of this machine, as a room sees them."""
    return tuple((place, place) for place in _LIBRARIES if Path(place).is_dir())


@cache
def why_not() -> str | None:
    """Why no room can be had on this machine, None where one can: one is tried."""
    if sys.platform != "linux":
        return "bubblewrap is there on Linux alone"
    if shutil.which("bwrap") is None:
        return "bubblewrap is not installed (apt install bubblewrap)"
    room = Room(
        command=("/sh", "-c", "exit 0"), binds=(("/bin/sh", "/sh"), *libraries()), limits={}
    )
    try:
        door = Door(room, wrapped=True)
    except (ImportError, OSError, RuntimeError) as error:
        return f"its filter of system calls needs pyseccomp and libseccomp: {error}"
    try:
        done = subprocess.run(
            door.loud, capture_output=True, stdin=subprocess.DEVNULL, timeout=_PROBE_SECONDS,
            check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"bubblewrap does not start here: {error}"
    finally:
        door.close()
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        return f"bubblewrap does not work here: {said[-1] if said else done.returncode}"
    return None
