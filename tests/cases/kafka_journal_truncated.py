"""Kafka: the journal lost its beginning (records deleted), or is a new, empty topic. The first is
called an unreachable broker, and agents wait for it for ever; the second opens as an empty log."""

import asyncio
from pathlib import Path

from tests.cases._broker import There, broker
from tests.cases._case import FAULT, HOLDS, run_case, task


async def opened(there: There) -> tuple[bool, str]:
    """Whether the log is refused as it should be, and what was said."""
    from tests.cases._names import BusError, Unreachable

    try:
        bus = await asyncio.wait_for(asyncio.to_thread(there.bus, create=False), 40)
    except Unreachable as error:
        return False, f"called unreachable: {str(error)[:110]} …"
    except BusError as error:
        return True, f"refused: {error}"
    except TimeoutError:
        return False, "no answer in 40 s"
    heads = {stream: next for stream, next in bus.log.heads().items() if next}
    await bus.close()
    return False, f"opened with heads {heads}"


async def case(folder: Path) -> tuple[int, str]:
    from aiokafka.admin import RecordsToDelete
    from aiokafka.structs import TopicPartition

    with broker(folder) as there:
        bus, cluster = there.bus(), there.cluster()
        for number in range(10):
            await bus.publish([task(number)])
        await bus.close()
        name = cluster.topic("journal")
        async with cluster.admin() as admin:
            before = RecordsToDelete(before_offset=8)
            await admin.delete_records({TopicPartition(name, 0): before})
        shortened, said = await opened(there)
        await there.recreate("journal", 1)
        emptied, also = await opened(there)
    return (HOLDS if shortened and emptied else FAULT), f"shortened: {said}; new: {also}"


if __name__ == "__main__":
    run_case(case)
