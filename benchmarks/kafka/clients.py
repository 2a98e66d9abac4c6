"""The clients with transactions: evolvent, a plain aiokafka loop, confluent-kafka. Each runs until
it is killed. Knows no measurement.
"""

import asyncio
from collections import deque
from collections.abc import Sequence

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from benchmarks.kafka.work import GROUP, QUESTIONS, TOPICS, Job, handle, read, wire
from bus.bus import Subscription
from bus.events import Event
from bus.kafka.bus import KafkaBus
from bus.kafka.cluster.cluster import Cluster
from bus.records import Delivery
from bus.runner import Runner

COMMITS_AHEAD = 2


class Answerer:
    """Evolvent's role."""

    def __init__(self, job: Job) -> None:
        self._job = job

    async def handle(self, event: Event) -> Sequence[Event]:
        return [await handle(self._job, event)]


async def evolvent(job: Job) -> None:
    """Exactly once, handlers out of order: a role under the runner."""
    bus = KafkaBus(Cluster(bootstrap_servers=job.address, app=job.app), topics=TOPICS)
    async with bus.subscribe([QUESTIONS], GROUP, "member") as subscription:
        if job.slow:
            await Runner(
                Answerer(job), subscription, group=GROUP, run="bench", concurrency=job.concurrency
            ).run()
            return
        await _in_batches(job, subscription)


async def _in_batches(job: Job, subscription: Subscription) -> None:
    committing: deque[asyncio.Task[None]] = deque()
    async with asyncio.TaskGroup() as tasks:
        while True:
            taken: list[Delivery] = await subscription.take(job.batch)
            answers = [await handle(job, one.event()) for one in taken]
            if len(committing) == COMMITS_AHEAD:
                await committing.popleft()
            committing.append(tasks.create_task(subscription.complete(taken, answers)))


async def raw_aiokafka(job: Job) -> None:
    """Exactly once as long as there is one consumer; a batch waits for its slowest handler."""
    producer = AIOKafkaProducer(
        bootstrap_servers=job.address,
        transactional_id=f"{job.app}.raw",
        transaction_timeout_ms=10_000,
        enable_idempotence=True,
        acks="all",
        linger_ms=0,
        max_batch_size=1 << 20,
        retry_backoff_ms=10,
    )
    consumer = AIOKafkaConsumer(
        job.questions,
        bootstrap_servers=job.address,
        group_id=f"{job.app}.{GROUP}",
        group_instance_id="member",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
    )
    # The producer first: what an earlier one left open has ended before the offsets are read.
    await producer.start()
    await consumer.start()
    while True:
        pages = await consumer.getmany(timeout_ms=1000, max_records=job.at_once)
        records = [record for page in pages.values() for record in page]
        if not records:
            continue
        events = [read(one.headers, one.value) for one in records]
        answers = (
            await asyncio.gather(*(handle(job, event) for event in events))
            if job.slow
            else [await handle(job, event) for event in events]
        )
        async with producer.transaction():
            for one in map(wire, answers):
                await producer.send(
                    job.answers, one.value, one.key, one.partition, headers=one.headers
                )
            ends = {place: page[-1].offset + 1 for place, page in pages.items()}
            await producer.send_offsets_to_transaction(ends, f"{job.app}.{GROUP}")
