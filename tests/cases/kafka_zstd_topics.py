"""Kafka: the run's topics have compression.type=zstd, which the client cannot read. `evolvent
topics` calls every topic right, and the run then fails with advice about the broker's address."""

import asyncio
from pathlib import Path

from tests.cases._broker import broker
from tests.cases._case import FAULT, HOLDS, NotTried, evolvent, run_case, task


async def case(folder: Path) -> tuple[int, str]:
    from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

    from tests.cases._names import BusError

    with broker(folder) as there:
        url = f"kafka://{there.address}/case"
        if (made := evolvent("topics", "--bus", url, "--create")).code != 0:
            raise NotTried(f"no topics could be made: {made}")
        async with there.cluster().admin() as admin:
            names = [name for name in await admin.list_topics() if name.startswith("case.")]
            asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
            for answer in await admin.describe_configs(asked):
                for _, _, _, name, entries in answer.resources:
                    # Altering sets everything: keep what the topic was made with.
                    kept = {entry[0]: entry[1] for entry in entries if entry[3] == 1}
                    kept["compression.type"] = "zstd"
                    changed = ConfigResource(ConfigResourceType.TOPIC, name, kept)
                    await admin.alter_configs([changed])
        await asyncio.sleep(1)
        checked = evolvent("topics", "--bus", url)
        if checked.one_sentence and "compression" in checked.err:
            return HOLDS, f"refused: {checked}"

        async def used() -> None:
            bus = await asyncio.to_thread(there.bus)
            await bus.publish([task(1)])
            member = bus.subscribe(["tasks"], "solver", "solver")
            if len(await member.take(5, 10)) != 1:
                raise BusError("a task was published and not delivered")

        try:
            await asyncio.wait_for(used(), 30)
        except (BusError, TimeoutError) as error:
            said = str(error) or "no answer within 30 s"
            return FAULT, f"`topics` says {checked.last!r}, exit code {checked.code}; use: {said}"
    return HOLDS, "topics with zstd are used"


if __name__ == "__main__":
    run_case(case)
