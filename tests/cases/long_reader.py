"""Another program keeps a read transaction open on the live log (a backup, a database browser):
once the write-ahead log is over 64 MiB each commit waits 15 s with the lock, and leases run out."""

import asyncio
import time
from pathlib import Path

from tests.cases._case import FAULT, HOLDS, NotTried, child, run_case

READER = """
import sqlite3, sys, time
reader = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True, isolation_level=None)
reader.execute("BEGIN")
print(reader.execute("SELECT count(*) FROM log").fetchone(), flush=True)
time.sleep(150)
"""
WATCHED_SECONDS = 25
PATIENCE_SECONDS = 3.0


async def case(folder: Path) -> tuple[int, str]:
    from tests.cases._names import Control, SqliteBus, derive_id

    def event(number: int, size: int) -> Control:
        return Control(
            id=derive_id("case", "x", str(number)), run="case", agent="x", command="start",
            settings={"pad": "x" * size},
        )  # fmt: skip

    def wal_bytes() -> int:
        return Path(f"{path}-wal").stat().st_size

    path = folder / "log.sqlite"
    bus = SqliteBus(path)
    member = bus.subscribe(["control"], "solver", "solver")
    await bus.publish([event(0, 10)])
    reader = child("-c", READER, path)
    try:
        if not (reader.stdout and reader.stdout.readline()):
            raise NotTried("no reader could be started")
        number = 1
        while number < 600 and wal_bytes() < 66 << 20:
            await bus.publish([event(number + one, 200_000) for one in range(20)])
            number += 20
        slowest, end = 0.0, time.monotonic() + WATCHED_SECONDS
        while time.monotonic() < end and slowest < 10:
            started = time.monotonic()
            await member.complete([], [event(number, 10)])
            slowest = max(slowest, time.monotonic() - started)
            number += 1
            await asyncio.sleep(0.05)
    finally:
        reader.kill()
        reader.wait()
    await member.close()
    await bus.close()
    said = f"beside a long reader the slowest small commit took {slowest:.1f} s"
    return (FAULT if slowest > PATIENCE_SECONDS else HOLDS), said


if __name__ == "__main__":
    run_case(case)
