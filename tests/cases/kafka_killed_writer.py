"""Kafka: one writer is killed inside its transaction. The journal is everybody's, so members of
other groups on other topics stand still too, until the transaction's time-out of 10 s."""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

from tests.cases._broker import There, broker
from tests.cases._case import FAULT, HOLDS, NotTried, child, run_case, task

PATIENCE_SECONDS = 3.0


async def victim(there: There, faults: Path) -> None:
    os.environ["EVOLVENT_FAULTS"] = str(faults)
    member = there.bus().subscribe(["tasks"], "solver", "victim")
    await member.complete([], [task(5_000)])
    (faults / "bus.committing").touch()
    await member.complete([], [task(6_000)])


async def case(folder: Path) -> tuple[int, str]:
    faults = folder / "faults"
    faults.mkdir()
    with broker(folder) as there:
        bus = there.bus()
        member, number = bus.subscribe(["weights"], "other", "other"), 0

        async def commit() -> float:
            nonlocal number
            started, number = time.monotonic(), number + 1
            await member.complete([], [task(number)])
            return time.monotonic() - started

        usual = sorted([await commit() for _ in range(30)])[15]
        process = child(__file__, "victim", there.data, there.port, faults)
        slowest, end = 0.0, time.monotonic() + 60
        while time.monotonic() < end and slowest < PATIENCE_SECONDS:
            slowest = max(slowest, await commit())
            if process.poll() is not None:
                end = min(end, time.monotonic() + 12)
        process.kill()
        if process.wait() != -signal.SIGKILL or (faults / "bus.committing").exists():
            raise NotTried("the victim did not die inside its transaction")
        await member.close()
        await bus.close()
    said = f"usually {usual * 1e3:.0f} ms; after another's death one commit took {slowest:.1f} s"
    return (FAULT if slowest > PATIENCE_SECONDS else HOLDS), said


if __name__ == "__main__":
    if sys.argv[1:2] == ["victim"]:
        asyncio.run(victim(There(Path(sys.argv[2]), int(sys.argv[3])), Path(sys.argv[4])))
    else:
        run_case(case)
