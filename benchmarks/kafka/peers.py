"""The clients of others: FastStream in two modes, faststream-concurrent-aiokafka, confluent-kafka.
Each runs until it is killed. Knows no measurement.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, cast

import confluent_kafka
from faststream import AckPolicy, FastStream
from faststream.kafka import KafkaBroker, KafkaMessage
from faststream_concurrent_aiokafka import (
    KafkaConcurrentProcessingMiddleware,
    initialize_concurrent_processing,
)

from benchmarks.kafka.work import GROUP, Job, Wire, answer, handle, read, wire
from bus.events import Event

Headers = Sequence[tuple[str, bytes]]


async def faststream_at_least_once(job: Job) -> None:
    """At least once: the offset is committed after the handler, so one record at a time."""
    await _faststream(job, {"ack_policy": AckPolicy.NACK_ON_ERROR})


async def faststream_at_most_once(job: Job) -> None:
    """At most once: the offset is committed before the handlers, which run side by side."""
    options = {"ack_policy": AckPolicy.ACK_FIRST, "max_workers": job.concurrency}
    await _faststream(job, options)


async def faststream_concurrent(job: Job) -> None:
    """At least once: handlers side by side, the offsets of finished prefixes are committed."""
    await _faststream(job, {"ack_policy": AckPolicy.MANUAL}, concurrent=True)


async def _faststream(job: Job, options: Mapping[str, Any], *, concurrent: bool = False) -> None:
    broker = KafkaBroker(job.address, acks="all", enable_idempotence=True, logger=None)

    async def body(message: KafkaMessage) -> bytes:
        return message.body  # the event is decoded below, as in every other row

    @broker.subscriber(  # type: ignore[untyped-decorator]
        job.questions,
        group_id=f"{job.app}.{GROUP}",
        group_instance_id="member",
        auto_offset_reset="earliest",
        decoder=body,
        **options,
    )
    async def on_question(value: bytes, message: KafkaMessage) -> None:
        record: Any = message.raw_message
        written = wire(await handle(job, read(record.headers, value)))
        await broker.publish(
            written.value,
            job.answers,
            key=written.key,
            partition=written.partition,
            headers={name: text.decode() for name, text in written.headers},
        )

    app = FastStream(broker, logger=None)
    if concurrent:
        broker.add_middleware(KafkaConcurrentProcessingMiddleware)

        @app.on_startup
        async def start() -> None:
            await initialize_concurrent_processing(
                context=broker.context,
                concurrency_limit=job.concurrency,
                commit_batch_size=job.concurrency,
                commit_batch_timeout_sec=0.1,
            )

    await app.run()


async def confluent(job: Job) -> None:
    """Exactly once (KIP-447); blocking, in a thread; a batch waits for its slowest handler."""
    await asyncio.to_thread(_confluent, job)


def _confluent(job: Job) -> None:
    consumer = confluent_kafka.Consumer(
        {
            "bootstrap.servers": job.address,
            "group.id": f"{job.app}.{GROUP}",
            "group.instance.id": "member",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
        }
    )
    producer = confluent_kafka.Producer(
        {
            "bootstrap.servers": job.address,
            "transactional.id": f"{job.app}.confluent",
            "transaction.timeout.ms": 10_000,
            "acks": "all",
            "linger.ms": 0,
        }
    )
    producer.init_transactions()
    consumer.subscribe([job.questions])
    with ThreadPoolExecutor(job.concurrency) as threads:
        while True:
            messages = consumer.consume(job.at_once, timeout=0.02)
            if not messages:
                continue
            events = [
                read(cast(Headers, one.headers()), one.value() or b"")
                for one in messages
                if one.error() is None
            ]
            answers = (threads.map if job.slow else map)(partial(_handle, job), events)
            _commit(job, producer, consumer, messages, list(answers))


def _commit(
    job: Job, producer: Any, consumer: Any, messages: Sequence[Any], answers: Sequence[Wire]
) -> None:
    producer.begin_transaction()
    for one in answers:
        producer.produce(
            job.answers, one.value, one.key, partition=one.partition, headers=one.headers
        )
    ends = {one.partition(): one.offset() + 1 for one in messages if one.error() is None}
    producer.send_offsets_to_transaction(
        [confluent_kafka.TopicPartition(job.questions, part, end) for part, end in ends.items()],
        consumer.consumer_group_metadata(),
    )
    producer.commit_transaction()


def _handle(job: Job, event: Event) -> Wire:
    if job.slow:
        time.sleep(job.seconds(event.id))
    return wire(answer(event))
