"""What the broker and the driver do on this machine, in figures: Kafka's transactions beside our
commits of as many records, the take-over of a member, the start of a client. Knows no row.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from uuid import uuid4

from aiokafka import AIOKafkaProducer

from benchmarks.kafka.work import GROUP, QUESTIONS, TOPICS, question, wire
from bus.kafka.bus import KafkaBus
from bus.kafka.cluster.cluster import Cluster
from bus.kafka.cluster.topics import prepare

LARGE_COMMIT, SMALL_COMMIT = 1000, 4


async def kafka_facts(address: str, num_transactions: int) -> dict[str, object]:
    cluster = Cluster(bootstrap_servers=address, app=f"facts-{uuid4().hex[:10]}")
    await prepare(cluster, TOPICS, create=True)
    began = time.perf_counter()
    facts: dict[str, object] = {
        f"{what}_of_{size}": await measured(cluster, size, num_transactions)
        for size in (1, 20, 100)
        for what, measured in (("transactions", _transactions), ("commits", _commits))
    }
    print(f"transactions and commits by records: {facts} in {time.perf_counter() - began:.1f} s")
    other = replace(cluster, app=f"{cluster.app}-member")
    facts["member_take_over_seconds"] = await _member_take_over(other)
    print(f"a member is taken over in {facts['member_take_over_seconds']} s", flush=True)
    return facts


async def startup_seconds(address: str, sizes: Sequence[int], commit: int) -> dict[str, float]:
    """From nothing to the first record taken, by events on the log, written `commit` at a time;
    the better of two."""
    cluster = Cluster(bootstrap_servers=address, app=f"start-{uuid4().hex[:10]}")
    bus = await asyncio.to_thread(KafkaBus, cluster, topics=TOPICS)
    seconds, written = {}, 0
    for size in sizes:
        while written < size:
            some = range(written, min(written + commit, size))
            await bus.publish([question(index) for index in some])
            written += len(some)
        seconds[str(size)] = round(min([await _start(cluster) for _ in range(2)]), 3)
        print(f"{size:8} events in commits of {commit}: start {seconds[str(size)]} s", flush=True)
    await bus.close()
    return seconds


async def _start(cluster: Cluster) -> float:
    began = time.perf_counter()
    bus = await asyncio.to_thread(KafkaBus, cluster, topics=TOPICS, create=False)
    async with await asyncio.to_thread(bus.subscribe, [QUESTIONS], GROUP, "member") as subscription:
        await subscription.take(1)
        seconds = time.perf_counter() - began
    await bus.close()
    return seconds


async def _transactions(cluster: Cluster, size: int, count: int) -> dict[str, float]:
    """Of a plain producer, `size` records of 1 KiB each."""
    producer = AIOKafkaProducer(
        bootstrap_servers=cluster.bootstrap_servers,
        transactional_id=f"{cluster.app}.{size}",
        linger_ms=0,
        retry_backoff_ms=10,
    )
    await cluster.start(producer)
    records = [wire(question(index)) for index in range(size)]
    took = []
    for _ in range(count):
        began = time.perf_counter()
        async with producer.transaction():
            for one in records:
                await producer.send(
                    cluster.topic(QUESTIONS), one.value, one.key, one.partition, headers=one.headers
                )
        took.append(time.perf_counter() - began)
    await cluster.stop(producer)
    return _figures(took)


async def _commits(cluster: Cluster, size: int, count: int) -> dict[str, float]:
    """Of evolvent, `size` events of 1 KiB each, one commit after the other."""
    fresh = replace(cluster, app=f"{cluster.app}-{size}")
    bus = await asyncio.to_thread(KafkaBus, fresh, topics=TOPICS)
    took = []
    for number in range(count):
        events = [question(number * size + index) for index in range(size)]
        began = time.perf_counter()
        await bus.publish(events)
        took.append(time.perf_counter() - began)
    await bus.close()
    return _figures(took)


def _figures(took: list[float]) -> dict[str, float]:
    took = sorted(took)
    count = len(took)
    return {
        "per_second": round(count / sum(took), 1),
        "p50_ms": round(1000 * took[count // 2], 1),
        "p99_ms": round(1000 * took[int(0.99 * count)], 1),
    }


async def _member_take_over(cluster: Cluster) -> float:
    """Seconds until another process with the name of a member has that member's open records."""
    first = await asyncio.to_thread(KafkaBus, cluster, topics=TOPICS)
    second = await asyncio.to_thread(KafkaBus, cluster, topics=TOPICS)
    await first.publish([question(0)])
    await (await asyncio.to_thread(first.subscribe, [QUESTIONS], GROUP, "member")).take(1)
    began = time.perf_counter()
    heir = await asyncio.to_thread(second.subscribe, [QUESTIONS], GROUP, "member")
    await heir.take(1)
    seconds = time.perf_counter() - began
    await first.close()
    await second.close()
    return round(seconds, 3)
