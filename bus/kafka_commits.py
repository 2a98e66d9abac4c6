"""Writes commits: outputs, the journal's entry and Kafka's own offsets in one transaction.

    submit -> [begin, outputs, entry with their places, offsets, end] -> verdict of the journal

What comes while one transaction is under way goes into the next one. A transaction whose outcome
is unknown is looked up in the journal, by a new producer, before it is tried again.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from uuid import uuid4

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from aiokafka.structs import OffsetAndMetadata, TopicPartition

from bus.bus import BusError, Record
from bus.cursor import Cursor
from bus.kafka_cluster import START_SECONDS, Cluster
from bus.kafka_entry import Entry, Place
from bus.kafka_journal import Journal
from bus.kafka_merge import Job, merge
from bus.kafka_topics import JOURNAL
from bus.shares import Stream

OURS = "journal"
"""The header, with the id of the entry, by which we know our own records."""

MAX_METADATA = 4096
"""Characters that Kafka takes with an offset. The journal knows the whole cursor; beside Kafka's
offset it is for those who look with other tools."""

GIVE_UP_SECONDS = 60.0
TRANSACTION_TIMEOUT_SECONDS = 30.0
BACK_OFF_SECONDS = 0.05
MAX_BACK_OFF_SECONDS = 2.0


class Committer:
    """One writer, under one transactional id. `check` raises `Fenced` when it has been replaced."""

    def __init__(
        self, cluster: Cluster, journal: Journal, writer: str, check: Callable[[], None]
    ) -> None:
        self._cluster, self._journal, self._check = cluster, journal, check
        self._id = f"{cluster.app}.{writer}"
        self._producer: AIOKafkaProducer | None = None
        self._jobs: asyncio.Queue[Job | None] = asyncio.Queue()
        self._ahead: dict[Stream, tuple[int, Cursor]] = {}
        self._finished = asyncio.Event()

    async def start(self) -> None:
        """From here on an older writer of this id can write no more."""
        producer = self._cluster.producer(self._id)
        await self._cluster.start(producer)
        self._producer = producer

    def submit(self, entry: Entry, outputs: Sequence[Record] = ()) -> asyncio.Future[None]:
        job = Job(entry=entry, outputs=outputs)
        self._jobs.put_nowait(job)
        return job.done

    async def run(self) -> None:
        """Until `close`."""
        try:
            while (first := await self._jobs.get()) is not None:
                jobs = [first]
                while not self._jobs.empty():
                    job = self._jobs.get_nowait()
                    if job is None:
                        self._jobs.put_nowait(None)
                        break
                    jobs.append(job)
                for entry, outputs, some in merge(jobs):
                    await self._carry(entry, outputs, some)
        finally:
            self._finished.set()

    async def close(self) -> None:
        """Finish what was submitted."""
        self._jobs.put_nowait(None)
        await self._finished.wait()
        await self._drop()

    async def _carry(self, entry: Entry, outputs: Sequence[Record], jobs: Sequence[Job]) -> None:
        try:
            if not await self._commit(entry, outputs):
                self._check()
                raise BusError("A commit was void although its writer is current: start again.")
        except asyncio.CancelledError:
            _fail(jobs, BusError("The bus is closed."))
            raise
        except Exception as error:
            self._ahead.clear()
            _fail(jobs, error)
        else:
            for job in jobs:
                if not job.done.done():
                    job.done.set_result(None)

    async def _commit(self, entry: Entry, outputs: Sequence[Record]) -> bool:
        """Whether the journal holds the entry valid."""
        verdict = self._journal.verdict(entry.id)
        until, pause = time.monotonic() + GIVE_UP_SECONDS, BACK_OFF_SECONDS
        try:
            while True:
                try:
                    if self._producer is None:
                        await self._renew()
                    if not verdict.done():
                        await self._transact(entry, outputs)
                    return await asyncio.wait_for(asyncio.shield(verdict), START_SECONDS)
                except MessageSizeTooLargeError as error:
                    await self._drop()
                    raise BusError(f"A record is too large for Kafka: {error}.") from error
                except (KafkaError, OSError, TimeoutError, AssertionError, BusError) as error:
                    await self._drop()
                    if time.monotonic() > until or self._journal.failure is not None:
                        raise BusError(
                            f"The outcome of a commit is unknown ({error or type(error)}): start "
                            "again, the journal knows."
                        ) from error
                await asyncio.sleep(pause)
                pause = min(2 * pause, MAX_BACK_OFF_SECONDS)
        finally:
            self._journal.forget(entry.id)

    async def _renew(self) -> None:
        """Whoever was replaced must not fence its successor; what was under way has ended then."""
        await self._journal.catch_up()
        self._check()
        await self.start()
        await self._journal.catch_up()

    async def _transact(self, entry: Entry, outputs: Sequence[Record]) -> None:
        producer = self._producer
        assert producer is not None
        try:
            async with asyncio.timeout(TRANSACTION_TIMEOUT_SECONDS), asyncio.TaskGroup() as tasks:
                await producer.begin_transaction()
                if offsets := self._offsets(entry):
                    group = f"{self._cluster.app}.{entry.group}"
                    tasks.create_task(producer.send_offsets_to_transaction(offsets, group))
                added = await self._send(producer, entry.id, outputs)
                await producer.send_and_wait(
                    self._cluster.topic(JOURNAL), replace(entry, added=added).encode(), partition=0
                )
            async with asyncio.timeout(TRANSACTION_TIMEOUT_SECONDS):
                await producer.commit_transaction()
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None

    async def _send(
        self, producer: AIOKafkaProducer, entry_id: str, outputs: Sequence[Record]
    ) -> dict[Stream, tuple[Place, ...]]:
        """Write what is not on the log yet; where it lies now."""
        fresh: dict[str, Record] = {}
        with self._journal.state.lock:
            for one in outputs:
                if not self._journal.state.has(one.event_id):
                    fresh.setdefault(one.event_id, one)
        sent = []
        for one in fresh.values():
            headers = [(name, value.encode()) for name, value in one.headers.items()]
            sent.append(
                await producer.send(
                    self._cluster.topic(one.topic),
                    one.value,
                    key=one.key.encode(),
                    partition=one.partition,
                    headers=[*headers, (OURS, entry_id.encode())],
                )
            )
        added: dict[Stream, list[Place]] = {}
        for one, written in zip(fresh.values(), await asyncio.gather(*sent), strict=True):
            place = Place(written.offset, one.event_id)
            added.setdefault((one.topic, one.partition), []).append(place)
        return {stream: tuple(places) for stream, places in added.items()}

    def _offsets(self, entry: Entry) -> dict[TopicPartition, OffsetAndMetadata]:
        """Kafka's own offset of each partition: where the lowest record not done lies."""
        offsets = {}
        with self._journal.state.lock:
            holdings = self._journal.state.group(entry.group).holdings
            for stream, claim in entry.done.items():
                epoch, cursor = self._ahead.get(stream, (-1, Cursor()))
                if epoch != claim.epoch or stream not in holdings:
                    cursor = holdings[stream].cursor if stream in holdings else Cursor()
                for start, end in claim.runs:
                    cursor = cursor.advance(range(start, end))
                self._ahead[stream] = (claim.epoch, cursor)
                raws = self._journal.state.raws[stream]
                raw = raws[cursor.base] if cursor.base < len(raws) else raws[-1] + 1
                metadata = cursor.encode()
                offsets[TopicPartition(self._cluster.topic(stream[0]), stream[1])] = (
                    OffsetAndMetadata(raw, metadata if len(metadata) <= MAX_METADATA else "")
                )
        return offsets

    async def _drop(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            await self._cluster.stop(producer)


def new_id() -> str:
    return uuid4().hex


def _fail(jobs: Sequence[Job], error: Exception) -> None:
    for job in jobs:
        if not job.done.done():
            job.done.set_exception(error)
