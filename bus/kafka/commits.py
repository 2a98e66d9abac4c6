"""Writes commits: outputs, the journal's entry and Kafka's own offsets in one transaction.

    submit -> [begin, outputs, entry with their places, offsets, end] -> verdict of the journal

What comes while one transaction is under way goes into the next one. A transaction whose outcome
is unknown is looked up in the journal, by a new producer, before it is tried again.

A broker that is killed may forget to mark a transaction as committed in some of its partitions,
which then show nothing more to anybody. The next transaction of the same writer there mends it.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

from aiokafka import AIOKafkaProducer
from aiokafka.errors import IllegalOperation, KafkaError, MessageSizeTooLargeError
from aiokafka.structs import OffsetAndMetadata, TopicPartition

from bus.cursor import Cursor
from bus.errors import BusError, Unreachable, Unwritable
from bus.faults import fault_point
from bus.kafka.batches import Job, merge, register, write
from bus.kafka.cluster import Cluster
from bus.kafka.entry import Entry, Places
from bus.kafka.journal import Journal
from bus.kafka.refusal import in_words, is_passing
from bus.kafka.thread import end
from bus.kafka.topics import JOURNAL
from bus.records import Record
from bus.shares import Stream

MAX_METADATA = 4096
"""Characters that Kafka takes with an offset. The journal knows the whole cursor; beside Kafka's
offset it is for those who look with other tools."""

GIVE_UP_SECONDS = 60.0
"""Of trying again what a broker that answers refuses. An outage is waited out, however long."""

TRANSACTION_TIMEOUT_SECONDS = 30.0
BACK_OFF_SECONDS = 0.05
MAX_BACK_OFF_SECONDS = 4.0
CLOSE_SECONDS = 10.0
MEND_SECONDS = 4.0
READ_SECONDS = 30.0
"""Within which the journal shows what has been committed. Another writer that died inside a
transaction may hold it up."""

_BLANK = Record(topic="", partition=0, offset=-1, key="", headers={}, value=b"")
"""Touches a partition: on the log is only what an entry names."""

BROKEN = (KafkaError, IllegalOperation, OSError, TimeoutError, AssertionError)
"""What a producer raises that has been fenced, or cut off, in the middle of a transaction."""

_log = logging.getLogger(__name__)


class Committer:
    """One writer, under one transactional id. `check` raises `Fenced` when it has been replaced."""

    def __init__(
        self, cluster: Cluster, journal: Journal, writer: str, check: Callable[[], None]
    ) -> None:
        self._cluster, self._journal, self._check = cluster, journal, check
        self._id = f"{cluster.app}.{writer}"
        self._producer: AIOKafkaProducer | None = None
        self._jobs: asyncio.Queue[Job | None] = asyncio.Queue()
        self._running: asyncio.Task[Any] | None = None
        self._touched: set[Stream] = set()
        self._in_doubt = False

    async def start(self) -> None:
        """From here on an older writer of this id can write no more."""
        producer = self._cluster.producer(self._id)
        await self._cluster.start(producer)
        self._producer = producer

    def submit(self, entry: Entry, outputs: Sequence[Record] = ()) -> asyncio.Future[None]:
        job = Job(entry=entry, outputs=outputs)
        self._jobs.put_nowait(job)
        return job.done

    def mend(self, streams: Collection[Stream] = ()) -> None:
        """Write once more where the last transaction went, or to `streams`; nobody waits."""
        self._touched.update(streams)
        submitted = self.submit(_mending())
        submitted.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def run(self) -> None:
        """Until `close`."""
        self._running = asyncio.current_task()
        self._journal.watch.listeners.append(self.mend)
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
            self._journal.watch.listeners.remove(self.mend)
            while not self._jobs.empty():
                if (job := self._jobs.get_nowait()) is not None:
                    _fail([job], BusError("The bus is closed."))

    async def close(self) -> None:
        """Finish what was submitted, unless the broker is away for too long."""
        self._jobs.put_nowait(None)
        if self._running is not None:
            await asyncio.wait([self._running], timeout=CLOSE_SECONDS)
            await end(self._running)
        await self._drop()

    async def _carry(self, entry: Entry, outputs: Sequence[Record], jobs: Sequence[Job]) -> None:
        try:
            if not await self._commit(entry, outputs):
                self._check()
                raise BusError("A commit was void although its writer is current: start again.")
        except asyncio.CancelledError:
            _fail(jobs, BusError("The bus is closed."))
            raise
        except Unwritable as error:
            if len(jobs) == 1:
                _fail(jobs, error)
                return
            # Whose record it is shows when each goes alone.
            for job in jobs:
                await self._carry(job.entry, job.outputs, [job])
        except Exception as error:
            _fail(jobs, error)
        else:
            for job in jobs:
                if not job.done.done():
                    job.done.set_result(None)

    async def _commit(self, entry: Entry, outputs: Sequence[Record]) -> bool:
        """Whether the journal holds the entry valid. The next transaction waits for that: until
        the broker has ended this one it refuses another, and asks to come back much later."""
        verdict = self._journal.verdict(entry.id)
        until, pause = time.monotonic() + GIVE_UP_SECONDS, BACK_OFF_SECONDS
        try:
            while True:
                try:
                    if self._producer is None:
                        await self._renew()
                    if not verdict.done():
                        await self._transact(entry, outputs)
                    await asyncio.wait([verdict], timeout=MEND_SECONDS)
                    if not verdict.done():
                        await self._mend()
                    if verdict.done():
                        return verdict.result()
                except MessageSizeTooLargeError as error:
                    await self._drop()
                    raise Unwritable(f"A record is too large for Kafka: {error}.") from error
                except (*BROKEN, BusError) as error:
                    self._in_doubt = True
                    await self._drop()
                    if isinstance(error, Unreachable) or is_passing(error):
                        until = time.monotonic() + GIVE_UP_SECONDS
                    else:
                        # The broker was there: it has marked what it took.
                        self._touched.clear()
                    if time.monotonic() > until or self._journal.failure is not None:
                        raise BusError(
                            f"The outcome of a commit is unknown ({in_words(error)}): start "
                            "again, the journal knows."
                        ) from error
                    await self._wait(error, pause)
                pause = min(2 * pause, MAX_BACK_OFF_SECONDS)
        finally:
            self._journal.forget(entry.id)

    async def _wait(self, error: BaseException, pause: float) -> None:
        """An outage is told by the watch; here is said what happens while the broker answers."""
        await self._journal.watch.over()
        if pause > 1.0:
            _log.warning(
                "A commit to Kafka at %s fails (%s): next try in %.0f s",
                self._cluster.bootstrap_servers,
                in_words(error),
                pause,
            )
        await asyncio.sleep(pause)

    async def _renew(self) -> None:
        """Whoever was replaced must not fence its successor; what was under way has ended then."""
        await self._journal.catch_up()
        self._check()
        await self.start()
        if self._in_doubt:
            await self._mend()
        await self._journal.catch_up()
        self._in_doubt = False

    async def _mend(self) -> None:
        """When this is on the journal, whatever was committed before is there too."""
        entry = _mending()
        read = self._journal.verdict(entry.id)
        try:
            await self._transact(entry, ())
            async with asyncio.timeout(READ_SECONDS):
                await asyncio.shield(read)
        finally:
            self._journal.forget(entry.id)

    async def _transact(self, entry: Entry, outputs: Sequence[Record]) -> None:
        producer = self._producer
        assert producer is not None
        journal = self._partition((JOURNAL, 0))
        fresh = self._fresh(outputs)
        streams = {(one.topic, one.partition) for one in outputs}
        if entry.kind == "mend":
            streams = set(self._touched)
        self._touched |= streams
        async with asyncio.timeout(TRANSACTION_TIMEOUT_SECONDS):
            await producer.begin_transaction()
            blanks = {self._partition(at): [_BLANK] for at in streams if entry.kind == "mend"}
            register(producer, [*fresh, *blanks, journal])
            # Before the outputs: while the offsets join a transaction, it takes no records.
            if offsets := self._offsets(entry):
                group = f"{self._cluster.app}.{entry.group}"
                await producer.send_offsets_to_transaction(offsets, group)
            written = await write(producer, fresh, entry.id)
            await write(producer, blanks, entry.id)
            added = {
                (some[0].topic, some[0].partition): Places(raws, [one.event_id for one in some])
                for some, raws in zip(fresh.values(), written, strict=True)
            }
            await producer.send_and_wait(
                journal.topic, replace(entry, added=added).encode(), partition=journal.partition
            )
        fault_point("bus.committing")
        async with asyncio.timeout(TRANSACTION_TIMEOUT_SECONDS):
            await producer.commit_transaction()
        self._touched = streams
        fault_point("bus.committed")

    def _fresh(self, outputs: Sequence[Record]) -> dict[TopicPartition, list[Record]]:
        """What is not on the log yet."""
        seen: set[str] = set()
        fresh: dict[Stream, list[Record]] = {}
        with self._journal.state.lock:
            for one in outputs:
                if event_id := one.event_id:
                    if event_id in seen or self._journal.state.has(event_id):
                        continue
                    seen.add(event_id)
                fresh.setdefault((one.topic, one.partition), []).append(one)
        return {
            TopicPartition(self._cluster.topic(topic), part): some
            for (topic, part), some in fresh.items()
        }

    def _offsets(self, entry: Entry) -> dict[TopicPartition, OffsetAndMetadata]:
        """Kafka's own offset of each partition: where the lowest record not done lies."""
        offsets = {}
        with self._journal.state.lock:
            holdings = self._journal.state.group(entry.group).holdings
            for stream, claim in entry.done.items():
                cursor = holdings[stream].cursor if stream in holdings else Cursor()
                for start, end in claim.runs:
                    cursor = cursor.advance(range(start, end))
                raws = self._journal.state.raws[stream]
                raw = raws[cursor.base] if cursor.base < len(raws) else raws[-1] + 1
                metadata = cursor.encode()
                offsets[self._partition(stream)] = OffsetAndMetadata(
                    raw, metadata if len(metadata) <= MAX_METADATA else ""
                )
        return offsets

    def _partition(self, stream: Stream) -> TopicPartition:
        return TopicPartition(self._cluster.topic(stream[0]), stream[1])

    async def _drop(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            await self._cluster.stop(producer)


def new_id() -> str:
    return uuid4().hex


def _mending() -> Entry:
    return Entry(id=new_id(), kind="mend")


def _fail(jobs: Sequence[Job], error: Exception) -> None:
    for job in jobs:
        if not job.done.done():
            job.done.set_exception(error)
