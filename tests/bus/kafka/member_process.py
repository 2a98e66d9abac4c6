"""A member of a group as a process of its own: takes what there is and completes it when told.

Says `taken` when it has `count` records, waits for a line, completes them and says what came of
it: `done`, or the name of the error.
"""

import asyncio
import sys

from bus.errors import BusError, Fenced
from bus.kafka.bus import KafkaBus
from bus.kafka.cluster.cluster import Cluster
from tests.bus.contract.saying import answer_to, take_all


async def main(cluster: Cluster, member: str, count: int, lease_seconds: float) -> None:
    bus = KafkaBus(cluster, lease_seconds=lease_seconds)
    try:
        subscription = bus.subscribe(["control"], "group", member)
        taken = await take_all(subscription, count)
        print("taken", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        await subscription.complete(taken, [answer_to(one, member) for one in taken])
        print("done", flush=True)
    except (Fenced, BusError) as error:
        print(type(error).__name__, flush=True)
    finally:
        await bus.close()


if __name__ == "__main__":
    address, app, name, number, lease = sys.argv[1:]
    place = Cluster(bootstrap_servers=address, app=app)
    asyncio.run(main(place, name, int(number), float(lease)))
