"""Archives a log that grows, and is killed again and again: `killed.py LOG ARCHIVE KILLS SEED`,
where LOG is a file, or HOST:PORT/NAME of a run on Kafka; with `trim` behind it answers all that
there is, publishes the watermark and trims, too. Every piece of work is a process of its own,
forked from this one, which has loaded what they need. Says how many it killed.
"""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random

from bus.bus import Bus
from bus.kafka.bus import KafkaBus
from bus.kafka.cluster.cluster import Cluster
from bus.log import Log
from bus.sqlite.bus import SqliteBus
from observability.archive.archivist import Archivist
from observability.archive.keeper import Keeper, newest_archive, trim
from observability.archive.place import place_of
from observability.archive.together import TogetherLog
from tests.observability.archive.archiving import EVENTS
from tests.observability.story import RUN

BLOCK = 8
FAULTS = ("archive.written", "archive.renamed", "archive.named")
TRIMMING = ("bus.trimming", "bus.committing", "bus.committed")
GROUPS = (("solver", "tasks"), ("critic", "attempts"), ("trainer", "judgments"))
KEPT = 2


def opened(log: str) -> Bus:
    if Path(log).is_absolute():
        return SqliteBus(Path(log))
    address, _, app = log.partition("/")
    return KafkaBus(Cluster(bootstrap_servers=address, app=app))


def forked(work: Callable[[], None]) -> int:
    """A process that does this and ends."""
    child = os.fork()
    if not child:
        work()
        os._exit(0)
    return child


def whole(log: Log, run: Path) -> Log:
    """With what was trimmed of it."""
    return TogetherLog(log, lambda: newest_archive(run, RUN, log)[1])


async def answered(bus: Bus) -> None:
    """Every group has done with all that there is."""
    for group, topic in GROUPS:
        async with bus.subscribe([topic], group, group) as member:
            while waiting := sum(one.backlog for one in bus.log.lag(group)):
                taken = await member.take(waiting)
                await member.complete(taken, [])


async def kept_short(bus: Bus, archive: Path) -> None:
    """Every group has answered all that there is; that is archived, and leaves the log."""
    await answered(bus)
    run = archive.parent
    keeper = Keeper(bus, whole(bus.log, run), run, RUN, str(archive))
    await keeper.archive()
    if due := keeper.due():
        await bus.publish([due])
    await trim(bus, whole(bus.log, run), partial(newest_archive, run, RUN), KEPT, dry=False)


def main(log: str, archive: str, kills: int, random: Random, *, trims: bool = False) -> int:
    faults = Path(tempfile.mkdtemp())
    os.environ["EVOLVENT_FAULTS"] = str(faults)
    per_kill = -(-len(EVENTS) // (kills + 1))
    killed, seconds, published = 0, 0.5, 0

    def publish() -> None:
        asyncio.run(opened(log).publish(EVENTS[published : published + per_kill]))

    def work() -> None:
        if trims:
            asyncio.run(kept_short(opened(log), Path(archive)))
        else:
            Archivist(opened(log).log, place_of(archive), RUN, block=BLOCK).catch_up()

    points = (*FAULTS, *TRIMMING) if trims else FAULTS

    while killed < kills:
        os.waitpid(forked(publish), 0)
        began, child = time.monotonic(), forked(work)
        time.sleep(random.uniform(0, 0.8 * seconds))
        if random.random() < 0.5:
            (faults / random.choice(points)).touch()
        else:
            os.kill(child, 9)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        for fault in faults.iterdir():
            fault.unlink()
        if code == -9:
            killed += 1
            published += per_kill
        elif code:
            return -1
        else:
            seconds = time.monotonic() - began
    return killed


if __name__ == "__main__":
    seed, trims = Random(int(sys.argv[4])), sys.argv[5:] == ["trim"]
    print(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), seed, trims=trims))
