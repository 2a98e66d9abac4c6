"""What can be seen of a trial: by any reader of the topics, or on evolvent's log, where a record
counts that an entry of the journal names. Knows no client.
"""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from benchmarks.kafka.work import ANSWERS, GROUP, PARTITIONS, QUESTIONS, Job
from bus.kafka.bus import KafkaBus
from bus.kafka.cluster.cluster import Cluster
from bus.records import Record


class View(Protocol):
    async def start(self) -> None: ...
    async def num_visible(self) -> int:
        """Where the answers end."""
        ...

    async def arrived(self) -> list[str]:
        """The questions of the answers that have come since this was asked last."""
        ...

    async def answers(self) -> list[str]:
        """The questions of all answers that are visible now."""
        ...

    async def questions(self) -> list[tuple[str, bool]]:
        """Each question, and whether the client has said that it is done."""
        ...

    async def stop(self) -> None: ...


class Topics:
    """Implements `View` for clients with transactions, or without."""

    def __init__(self, job: Job, cluster: Cluster) -> None:
        self._job, self._cluster = job, cluster
        self._places = [TopicPartition(job.answers, part) for part in range(PARTITIONS)]
        self._reader = self._consumer()

    async def start(self) -> None:
        await self._reader.start()
        self._reader.assign(self._places)
        await self._reader.seek_to_end(*self._places)

    async def num_visible(self) -> int:
        """Records, and in transactions the broker's own marks."""
        return sum((await self._reader.end_offsets(self._places)).values())

    async def arrived(self) -> list[str]:
        pages = await self._reader.getmany(timeout_ms=10)
        return [_answered(one.headers) for page in pages.values() for one in page]

    async def answers(self) -> list[str]:
        return [event_id for _, _, event_id in await self._read(self._places)]

    async def questions(self) -> list[tuple[str, bool]]:
        async with self._cluster.admin() as admin:
            done = await admin.list_consumer_group_offsets(f"{self._job.app}.{GROUP}")
        places = [TopicPartition(self._job.questions, part) for part in range(PARTITIONS)]
        return [
            (event_id, place in done and offset < done[place].offset)
            for place, offset, event_id in await self._read(places)
        ]

    async def stop(self) -> None:
        await self._reader.stop()

    def _consumer(self) -> AIOKafkaConsumer:
        return AIOKafkaConsumer(
            bootstrap_servers=self._job.address,
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=20,
        )

    async def _read(
        self, places: Sequence[TopicPartition]
    ) -> list[tuple[TopicPartition, int, str]]:
        consumer = self._consumer()
        await consumer.start()
        try:
            consumer.assign(places)
            ends = await consumer.end_offsets(places)
            for place in places:
                consumer.seek(place, 0)
            found = []
            while any([await consumer.position(place) < ends[place] for place in places]):
                for place, page in (await consumer.getmany(timeout_ms=200)).items():
                    found += [(place, one.offset, _answered(one.headers)) for one in page]
            return found
        finally:
            await consumer.stop()


class OurLog:
    """Implements `View` for evolvent."""

    def __init__(self, bus: KafkaBus) -> None:
        self._bus = bus
        self._seen: asyncio.Queue[str] = asyncio.Queue()
        self._following: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._following = asyncio.create_task(self._follow())

    async def num_visible(self) -> int:
        heads = await asyncio.to_thread(self._bus.heads)
        return sum(head for (topic, _), head in heads.items() if topic == ANSWERS)

    async def arrived(self) -> list[str]:
        try:
            async with asyncio.timeout(0.01):
                found = [await self._seen.get()]
        except TimeoutError:
            return []
        while not self._seen.empty():
            found.append(self._seen.get_nowait())
        return found

    async def answers(self) -> list[str]:
        return [_of(record) for _, record in await self._read(ANSWERS)]

    async def questions(self) -> list[tuple[str, bool]]:
        cursors = self._bus.cursors(GROUP)
        return [
            (record.event_id, cursors[QUESTIONS, part].is_done(record.offset))
            for part, record in await self._read(QUESTIONS)
        ]

    async def stop(self) -> None:
        if self._following is not None:
            self._following.cancel()

    async def _follow(self) -> None:
        async for record in self._bus.follow(ANSWERS):
            self._seen.put_nowait(_of(record))

    async def _read(self, topic: str) -> list[tuple[int, Record]]:
        def read() -> list[tuple[int, Record]]:
            return [
                (part, record)
                for part in range(PARTITIONS)
                for record in self._bus.read(topic, part)
            ]

        return await asyncio.to_thread(read)


def _of(record: Record) -> str:
    return record.headers.get("ce_causationid", "")


def _answered(headers: Sequence[tuple[str, bytes]]) -> str:
    """The id of the question that a record answers, or of the question that it is."""
    said = dict(headers)
    name = "ce_id" if said.get("ce_type") == b"evolvent.task" else "ce_causationid"
    return said.get(name, b"").decode()
