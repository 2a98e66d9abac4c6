"""Kafka: a topic of the run is deleted and made again with the right settings. The journal's
places now point at other events and nobody notices: some come twice, some under a wrong id."""

import asyncio
from pathlib import Path

from tests.cases._broker import broker
from tests.cases._case import FAULT, HOLDS, run_case, task


async def case(folder: Path) -> tuple[int, str]:
    from tests.cases._names import BusError

    with broker(folder) as there:
        bus = there.bus()
        old = [task(number) for number in range(40)]
        await bus.publish(old)
        await bus.close()
        await there.recreate("tasks", 4)
        try:
            bus = there.bus()
            new = [task(1000 + number) for number in range(40)]
            await bus.publish(new)
            found = await asyncio.wait_for(asyncio.to_thread(bus.log.find, old[0].id), 40)
            member, seen = bus.subscribe(["tasks"], "solver", "solver"), []
            while taken := await member.take(100, 5):
                seen += [one.record.event_id for one in taken]
                await member.complete(taken, [])
        except BusError as error:
            return HOLDS, f"refused: {error}"
        except TimeoutError:
            return FAULT, "opened without a word; an old event is looked for without an end"
        twice = len(seen) - len(set(seen))
        lost = sum(one.id not in seen for one in new)
        other = found is not None and found.event_id != old[0].id
        said = f"opened without a word; {twice} events came twice, {lost} of 40 new ones never"
        return FAULT, said + (", find(id) gave another event" if other else "")


if __name__ == "__main__":
    run_case(case)
