"""Leases end at a time of the wall clock. A member joins while the clock is 5 minutes ahead, dies,
the clock is set right: its partitions stay with the dead for minutes, not for the lease's 10 s."""

import asyncio
import os
import sys
import time
from pathlib import Path
from typing import Any

from tests.cases._case import FAULT, HOLDS, NotTried, command, run_case, task

TASKS = 8
PATIENCE_SECONDS = 25


async def ahead(path: Path) -> None:
    """A member under a clock that is 300 s ahead, killed with everything taken."""
    right = time.time
    time.time = lambda: right() + 300
    from tests.cases._names import SqliteBus

    member = SqliteBus(path).subscribe(["tasks"], "solver", "one")
    taken: list[Any] = []
    while len(taken) < TASKS:
        taken += await member.take(TASKS, 5)
    os._exit(9)


async def case(folder: Path) -> tuple[int, str]:
    from tests.cases._names import SqliteBus

    path = folder / "log.sqlite"
    bus = SqliteBus(path)
    await bus.publish([task(number) for number in range(TASKS)])
    if command(sys.executable, __file__, "ahead", path, seconds=60).code != 9:
        raise NotTried("the member under the wrong clock ended otherwise")
    member, had, started = bus.subscribe(["tasks"], "solver", "two"), 0, time.monotonic()
    while time.monotonic() - started < PATIENCE_SECONDS and had < TASKS:
        taken = await member.take(TASKS, 1)
        had += len(taken)
        await member.complete(taken, [])
    seconds = time.monotonic() - started
    await member.close()
    await bus.close()
    said = f"{had} of {TASKS} tasks of the dead member came over within {seconds:.0f} s"
    return (HOLDS if had == TASKS else FAULT), said


if __name__ == "__main__":
    if sys.argv[1:2] == ["ahead"]:
        asyncio.run(ahead(Path(sys.argv[2])))
    else:
        run_case(case)
