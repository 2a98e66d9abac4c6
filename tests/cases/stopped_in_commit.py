"""A process is stopped inside a commit (SIGSTOP, a frozen container). The lock of the file has no
lease: all other processes end with an error that does not even say which process to end."""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

from tests.cases._case import FAULT, HOLDS, NotTried, child, run_case, task

TASKS = 8
PATIENCE_SECONDS = 40


async def stopped(path: Path, faults: Path) -> None:
    from tests.cases._names import SqliteBus

    member = SqliteBus(path).subscribe(["tasks"], "solver", "one")
    taken = await member.take(3, 5)
    kill = os.kill

    def stop(pid: int, number: int) -> None:
        kill(pid, signal.SIGSTOP)
        # On a busy machine this thread would go on for a moment, and commit.
        time.sleep(1)

    os.kill = stop
    os.environ["EVOLVENT_FAULTS"] = str(faults)
    (faults / "bus.committing").touch()
    await member.complete(taken, [task(500)])
    os._exit(0)


async def case(folder: Path) -> tuple[int, str]:
    from tests.cases._names import BusError, Fenced, SqliteBus

    path, faults = folder / "log.sqlite", folder / "faults"
    faults.mkdir()
    bus = SqliteBus(path)
    await bus.publish([task(number) for number in range(TASKS)])
    other = child(__file__, "stopped", path, faults)
    try:
        _, status = await asyncio.to_thread(os.waitpid, other.pid, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            raise NotTried("the other process was not stopped inside its commit")
        started, had, said = time.monotonic(), 0, "nothing"
        while time.monotonic() - started < PATIENCE_SECONDS and had < TASKS:
            try:
                member = bus.subscribe(["tasks"], "solver", "two")
                while time.monotonic() - started < PATIENCE_SECONDS and had < TASKS:
                    taken = await member.take(TASKS, 1)
                    await member.complete(taken, [])
                    had += len(taken)
            except (BusError, Fenced) as error:
                said = str(error)
                if str(other.pid) in said:
                    break
    finally:
        os.kill(other.pid, signal.SIGCONT)
        other.wait()
    if had == TASKS:
        return HOLDS, "the others have gone on"
    if str(other.pid) in said:
        return HOLDS, f"the sentence names the process {other.pid}: {said}"
    seconds = time.monotonic() - started
    return FAULT, f"{had} of {TASKS} done in {seconds:.0f} s; said: {said.replace(str(folder), '')}"


if __name__ == "__main__":
    if sys.argv[1:2] == ["stopped"]:
        asyncio.run(stopped(Path(sys.argv[2]), Path(sys.argv[3])))
    else:
        run_case(case)
