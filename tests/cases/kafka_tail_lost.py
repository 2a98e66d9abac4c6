"""Kafka, one broker, power cut: the tail of one partition is lost, the journal is whole. The log
opens without a word, and new events are read at the places of the lost ones."""

import asyncio
from pathlib import Path

from tests.cases._broker import broker
from tests.cases._case import FAULT, HOLDS, NotTried, run_case, task


async def case(folder: Path) -> tuple[int, str]:
    from tests.cases._names import TOPICS, BusError, to_records

    with broker(folder) as there:
        bus = there.bus()
        old = [task(number) for number in range(60)]
        for first in range(0, 60, 5):
            await bus.publish(old[first : first + 5])
        await bus.close()
        there.kill()
        segments = there.data / "log" / f"{there.cluster().topic('tasks')}-0"
        [segment] = segments.glob("*.log")
        whole = segment.stat().st_size
        with segment.open("r+b") as file:
            file.truncate(whole // 2)
        there.start()
        new = [task(1000 + number) for number in range(60)]
        wanted = [one.event_id for one in to_records([*old, *new], TOPICS) if one.partition == 0]
        wrong = right = 0
        try:
            bus = await asyncio.to_thread(there.bus, create=False)
            for first in range(0, 60, 5):
                await bus.publish(new[first : first + 5])
            end = bus.log.heads()["tasks", 0]
            for offset in range(end):
                reading = asyncio.to_thread(
                    lambda at: [*bus.log.read("tasks", 0, at, at + 1)], offset
                )
                [record] = await asyncio.wait_for(reading, 45)
                wrong += record.event_id != wanted[offset]
                right += record.event_id == wanted[offset]
        except (BusError, TimeoutError) as error:
            said = f"{type(error).__name__} {error}"
            if not wrong and isinstance(error, BusError):
                return HOLDS, f"{right} records read, then refused: {said}"
        else:
            said = f"all {end} records could be read"
        if right == len(wanted):
            raise NotTried("the broker still has all records: nothing was lost")
    return FAULT, f"{wrong} records read at the places of others, {right} at their own; {said}"


if __name__ == "__main__":
    run_case(case)
