"""What other programs write into the topics of a run on Kafka: copies of records, garbage, too
much. And whether each piece of garbage came to its end, once.
"""

import asyncio
from base64 import b64decode
from collections import Counter
from pathlib import Path
from random import Random

from aiokafka import AIOKafkaProducer
from aiokafka.errors import MessageSizeTooLargeError

from bus.bus import Bus
from bus.codec import MAX_VALUE_BYTES
from bus.config import KafkaConfig
from bus.events import DeadLetter
from bus.kafka.batches import OURS
from bus.kafka.cluster.cluster import MAX_MESSAGE_BYTES, Cluster
from bus.records import Record

BURIED = ("tasks", "attempts", "control")
"""Topics on which garbage ends in a dead letter; the trainer drops what it cannot read."""

_TAG = 40
_OVERHEAD = 1024
_COPIES = 5


class Strangers:
    """`poison`, `oversized`, `refused` and `copies` count what was written."""

    def __init__(self, config: KafkaConfig, random: Random) -> None:
        self.poison = self.oversized = self.refused = self.copies = 0
        self._config, self._random = config, random
        self._cluster = Cluster(bootstrap_servers=config.bootstrap_servers, app=config.app)
        self._buried: list[bytes] = []

    async def write_garbage(self, bus: Bus, topic: str) -> None:
        """One record that nobody can read, and one of a transaction that is undone."""
        await self._write(bus, topic, self._garbage(topic, 100))
        self.poison += 1
        undoing = AIOKafkaProducer(
            bootstrap_servers=self._cluster.bootstrap_servers, transactional_id="stranger"
        )
        await self._cluster.start(undoing)
        try:
            await undoing.begin_transaction()
            await undoing.send_and_wait(self._cluster.topic(topic), b"undone", partition=0)
            await undoing.abort_transaction()
        finally:
            await self._cluster.stop(undoing)

    async def write_too_much(self, bus: Bus, topic: str) -> None:
        """Records as large as the topic takes, larger, and larger only once they are unpacked."""
        await self._write(bus, topic, self._garbage(topic, MAX_MESSAGE_BYTES - _OVERHEAD))
        packed = self._garbage(topic, 1000) + bytes(MAX_MESSAGE_BYTES + (1 << 20))
        await self._write(bus, topic, packed, compression="gzip")
        self.oversized += 2
        try:
            await self._write(bus, topic, self._random.randbytes(MAX_MESSAGE_BYTES + 1))
        except MessageSizeTooLargeError:
            self.refused += 1

    async def copy(self, bus: Bus, folder: Path, topic: str) -> None:
        """Deliver records again: under the ids that they have, by other programs and by ours."""
        chosen = self._some(bus, topic)
        producer = self._cluster.producer()
        await self._cluster.start(producer)
        try:
            for record in chosen:
                headers = [(name, value.encode()) for name, value in record.headers.items()]
                for more in ([], [(OURS, b"copy")]):
                    await producer.send_and_wait(
                        self._cluster.topic(topic),
                        record.value,
                        key=record.key.encode(),
                        partition=record.partition,
                        headers=[*headers, *more],
                    )
                    self.copies += 1
        finally:
            await self._cluster.stop(producer)
        writing = await asyncio.to_thread(self._config.build, folder)
        try:
            await writing.publish([record.event() for record in chosen])
        finally:
            await writing.close()

    def unburied(self, bus: Bus) -> list[str]:
        """Garbage without its dead letter, or with two."""
        found: Counter[bytes] = Counter()
        for topic in BURIED:
            for record in bus.log.read(f"{topic}.dead"):
                letter = record.event()
                if isinstance(letter, DeadLetter):
                    found[b64decode(letter.value[: 4 * _TAG])[:_TAG]] += 1
        return [
            f"{tag.decode().strip()} has {found[tag]} dead letters"
            for tag in self._buried
            if found[tag] != 1
        ]

    def _garbage(self, topic: str, size: int) -> bytes:
        tag = f"garbage for {topic} {self._random.randbytes(8).hex()}".ljust(_TAG).encode()
        if topic in BURIED:
            self._buried.append(tag)
        return tag + self._random.randbytes(size - len(tag))

    def _some(self, bus: Bus, topic: str) -> list[Record]:
        log = bus.log
        ends = [(part, end) for (name, part), end in log.heads().items() if name == topic and end]
        part, end = self._random.choice(ends)
        return [one for one in log.read(topic, part, max(0, end - _COPIES), end) if one.event_id]

    async def _write(
        self, bus: Bus, topic: str, value: bytes, compression: str | None = None
    ) -> None:
        partitions = [part for (name, part) in bus.log.heads() if name == topic]
        producer = AIOKafkaProducer(
            bootstrap_servers=self._cluster.bootstrap_servers,
            max_request_size=4 * MAX_VALUE_BYTES,
            compression_type=compression,
            acks="all",
        )
        await self._cluster.start(producer)
        try:
            place = self._cluster.topic(topic)
            await producer.send_and_wait(place, value, partition=self._random.choice(partitions))
        finally:
            await self._cluster.stop(producer)
