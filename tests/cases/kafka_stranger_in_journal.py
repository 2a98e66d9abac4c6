"""Kafka: one record of some other program in NAME.journal. The run breaks, and can never be opened
again; in all other topics strangers' records are harmless, as the documentation says."""

import asyncio
from pathlib import Path

from tests.cases._broker import broker
from tests.cases._case import FAULT, HOLDS, run_case, task


async def case(folder: Path) -> tuple[int, str]:
    from tests.cases._names import BusError

    with broker(folder) as there:
        bus = there.bus()
        await bus.publish([task(1)])
        member = bus.subscribe(["tasks"], "solver", "solver")
        taken = await member.take(5, 10)
        await there.write(there.cluster().topic("journal"), b"hello")
        await asyncio.sleep(1)
        doing = "to complete a task"
        try:
            await asyncio.wait_for(member.complete(taken, []), 30)
            doing = "to close"
            await asyncio.wait_for(bus.close(), 30)
            doing = "to open the log again"
            again = await asyncio.to_thread(there.bus, create=False)
            await again.publish([task(2)])
            heads = sum(next for (topic, _), next in again.log.heads().items() if topic == "tasks")
            await again.close()
        except (BusError, TimeoutError) as error:
            return FAULT, f"impossible {doing}: {type(error).__name__} {error}"
    return (HOLDS if heads == 2 else FAULT), f"the run goes on; {heads} of 2 tasks are on the log"


if __name__ == "__main__":
    run_case(case)
