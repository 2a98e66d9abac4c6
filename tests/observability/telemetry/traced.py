"""A process of its own that evolves in seconds, as its environment says it is to be watched:
`python -m tests.observability.telemetry.traced FOLDER [TASKS]`. Prints how much was lost.
"""

import asyncio
import sys
import time
from pathlib import Path

from bus.sqlite.bus import SqliteBus
from evolvent.process import log_to_stderr
from evolvent.watching.observed import observed
from tests.evolvent.run.test_loop import RUN, evolve
from tests.trainer.classroom import Classroom


async def run(folder: Path) -> None:
    bus = SqliteBus(folder / "log.sqlite")
    try:
        await evolve(Classroom(bus, folder, run=RUN))
    finally:
        await bus.close()


def main() -> None:
    log_to_stderr()
    with observed(RUN, "loop") as telemetry:
        asyncio.run(run(Path(sys.argv[1])))
        began = time.monotonic()
    print(f"{time.monotonic() - began:.2f} {telemetry.lost if telemetry else 0}")


if __name__ == "__main__":
    main()
