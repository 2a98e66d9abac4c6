"""The other processes at a log: only one writes at a time, and a slow or stopped one is waited for,
by name. Knows no table.
"""

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

import apsw

_SAID_AFTER_SECONDS = 2.0
_LAST_SECONDS = 2.0
"""Who is about to close does not wait longer."""
_WRITE_LOCK_BYTE = "120"
"""Of the file "-shm": where SQLite's WAL writers lock (walformat.html, "WAL Locks")."""

_log = logging.getLogger(__name__)


def begin_writing(
    connection: apsw.Connection,
    path: Path,
    patience_seconds: float | None,
    is_closing: Callable[[], bool] = lambda: False,
) -> None:
    """Begin a transaction that writes, as soon as no other process does. Nothing is written before:
    it can be tried for ever. Raises `apsw.BusyError` after `patience_seconds`, never with None."""
    started = time.monotonic()
    pause = _SAID_AFTER_SECONDS
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
            return
        except apsw.BusyError:
            waited = time.monotonic() - started
            limit = patience_seconds
            if is_closing():
                limit = _LAST_SECONDS if limit is None else min(limit, _LAST_SECONDS)
            if limit is not None and waited >= limit:
                raise
            if waited >= pause:
                _log.warning("waiting for %s, which holds %s", holder(path), path)
                pause *= 2


def holder(path: Path) -> str:
    """Who writes to a log just now, in words: it may be stopped, and hold the others up."""
    pid = _holder_pid(path)
    if pid is None:
        return "another process"
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace")
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        line, state = "", ""
    stopped = f", which is stopped (kill -CONT {pid})" if state in ("T", "t") else ""
    command = " ".join(line.replace("\0", " ").split())[:100]
    return f"process {pid}" + (f" ({command})" if command else "") + stopped


def _holder_pid(path: Path) -> int | None:
    """From the kernel's list of locks: to open the file here, and close it, would give up the locks
    of this process."""
    try:
        inode = str(os.stat(f"{path}-shm").st_ino)
        locks = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return None
    for words in (line.split() for line in locks):
        # 12: POSIX ADVISORY WRITE 4711 fe:00:10519525 120 120
        if words[1:2] != ["POSIX"] or words[3:4] != ["WRITE"] or words[6:7] != [_WRITE_LOCK_BYTE]:
            continue
        if words[5].rpartition(":")[2] == inode and int(words[4]) > 0:
            return int(words[4])
    return None
