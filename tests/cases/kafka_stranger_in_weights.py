"""Kafka: a record of some other program in NAME.weights gets its place on the log, as documented.
What takes the last record for the newest version (trainer, run, audit) fails from then on."""

import asyncio
from pathlib import Path
from typing import Any

from tests.cases._broker import broker
from tests.cases._case import FAULT, HOLDS, run_case


async def case(folder: Path) -> tuple[int, str]:
    from tests.cases._names import BusError, Unreadable, Versions, Weights, derive_id

    def weights(number: int) -> Weights:
        def name(one: int) -> str:
            return derive_id("case", "trainer", str(one))

        return Weights(
            id=name(number), run="case", agent="trainer", number=number, step=number, epoch=1,
            parent=number - 1 if number else None, parent_id=name(number - 1) if number else None,
            location=f"checkpoints/v{number:06d}-e0001", files={},
        )  # fmt: skip

    with broker(folder) as there:
        bus = there.bus()
        versions = Versions(bus.log)
        await bus.publish([weights(0), weights(1)])
        member = bus.subscribe(["weights"], "proposer", "proposer")
        await there.write(there.cluster().topic("weights"), b"hello")
        taken: list[Any] = []
        while len(taken) < 3 and (more := await member.take(9, 10)):
            taken += more
        try:
            newest = versions.newest()
            if newest is None or newest.number != 1:
                return FAULT, f"the newest version should be 1, not {newest and newest.number}"
            await member.complete(taken, [weights(2)])
            newest = versions.newest()
        except (BusError, Unreadable) as error:
            return FAULT, f"asked for the newest version: {type(error).__name__}: {error}"
        except AssertionError:
            return FAULT, "asked for the newest version: a bare assertion fails"
        finally:
            await asyncio.wait_for(bus.close(), 30)
    number = newest.number if newest else None
    return (HOLDS if number == 2 else FAULT), f"beside a stranger the newest version is {number}"


if __name__ == "__main__":
    run_case(case)
