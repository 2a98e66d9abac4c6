"""Whole Python in a room: reads a job a line, answers it in a process of its own, writes a line.
Run as `python -I -S zygote.py FOLDER... MODULE:FUNCTION ARGUMENT`; the function makes of the
argument what answers a job.
"""

import gc
import json
import os
import resource
import select
import signal
import sys
import time
from importlib import import_module
from typing import Any

_CPU_SECONDS, _WALL_SECONDS = 1, 2
_MEMORY = 768 * 2**20
_REPLY_BYTES = 64 * 1024


def main() -> None:
    *folders, function, argument = sys.argv[1:]
    # A library that computes on many threads would make them all before it is asked anything.
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    sys.path[1:1] = folders
    module, _, name = function.partition(":")
    answer = getattr(import_module(module), name)(argument)
    gc.collect()
    gc.freeze()
    for line in sys.stdin.buffer:
        reply = _reply(answer, line)
        sys.stdout.buffer.write(json.dumps(reply).encode() + b"\n")
        sys.stdout.buffer.flush()


def _reply(answer: Any, line: bytes) -> Any:
    """What a child says, None where it says nothing in time."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            _limited()
            os.write(writing, json.dumps(answer(json.loads(line))).encode()[:_REPLY_BYTES])
        finally:
            os._exit(0)
    os.close(writing)
    said = _read(reading, time.monotonic() + _WALL_SECONDS)
    os.close(reading)
    for kill in (os.kill, os.killpg):
        try:
            kill(child, signal.SIGKILL)
        except ProcessLookupError:
            continue
    os.waitpid(child, 0)
    try:
        return json.loads(said)
    except ValueError:
        return None


def _limited() -> None:
    os.setsid()
    nothing = os.open("/dev/null", os.O_RDWR)
    for standard in range(3):
        os.dup2(nothing, standard)
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))


def _read(pipe: int, until: float) -> bytes:
    said = b""
    while len(said) < _REPLY_BYTES:
        ready, _, _ = select.select([pipe], [], [], max(0.0, until - time.monotonic()))
        if not ready or not (more := os.read(pipe, _REPLY_BYTES)):
            break
        said += more
    return said


if __name__ == "__main__":
    main()
