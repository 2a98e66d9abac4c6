"""Starts a program where it can do no harm: without rights, within limits, in bubblewrap if it is
there. Run as `python -I -S launch.py ROOM.json ARGUMENT...`; knows nothing of evolvent.
"""

import ctypes
import json
import os
import resource
import sys
from typing import Any

_CLONE_NEWNS = 0x20000
_MS_BIND, _MS_REC, _MS_PRIVATE = 0x1000, 0x4000, 0x40000

_BUBBLEWRAP = (
    *("--unshare-all", "--unshare-user", "--uid", "65534", "--gid", "65534"),
    *("--die-with-parent", "--new-session", "--clearenv", "--hostname", "sandbox"),
    *("--cap-drop", "ALL"),
)
_DEVICES = ("--proc", "/proc", "--dev", "/dev")


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as file:
        room = json.load(file)
    sources = [source for source, _ in room["binds"]]
    places = [place for _, place in room["binds"]]
    if os.getuid() == 0:
        sources = _reachable(sources, room["stage"])
    command = [*room["command"], *sys.argv[2:]]
    if room["bubblewrap"]:
        command = _wrapped(room, list(zip(sources, places, strict=True)), command)
    else:
        at = dict(zip(places, sources, strict=True))
        command = [at.get(word, word) for word in command]
    for name, limit in room["limits"].items():
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (limit, limit))
    if os.getuid() == 0:
        os.setgroups([])
        os.setresgid(room["uid"], room["uid"], room["uid"])
        os.setresuid(room["uid"], room["uid"], room["uid"])
    os.environ.clear()
    os.execv(command[0], command)


def _wrapped(room: dict[str, Any], binds: list[tuple[str, str]], command: list[str]) -> list[str]:
    """The command of bubblewrap; a filter is opened anew for every start, since it is read from
    where it stands."""
    filter_ = os.open(room["seccomp"], os.O_RDONLY)
    os.set_inheritable(filter_, True)
    bound = [word for pair in binds for word in ("--ro-bind", *pair)]
    devices = _DEVICES if room["devices"] else ()
    scratch: tuple[str, ...] = ()
    if room["scratch_bytes"]:
        size = str(room["scratch_bytes"])
        scratch = ("--size", size, "--tmpfs", "/scratch", "--chdir", "/scratch")
    words = [*_BUBBLEWRAP, *bound, *devices, *scratch, "--seccomp", str(filter_)]
    return [room["bubblewrap"], *words, "--", *command]


def _reachable(sources: list[str], stage: str) -> list[str]:
    """The same files at places that a user without rights can reach, whatever lies above them; the
    files themselves where root may mount nothing."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNS) or libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None):
        return sources
    staged = []
    for index, source in enumerate(sources):
        place = os.path.join(stage, str(index))
        if libc.mount(os.fsencode(source), os.fsencode(place), None, _MS_BIND | _MS_REC, None):
            return sources
        staged.append(place)
    return staged


if __name__ == "__main__":
    main()
