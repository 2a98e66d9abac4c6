"""Writes commits: outputs first, then one record of the journal that names them.

    submit -> [outputs, acknowledged] -> [entry, acknowledged] -> outcome, read from the journal

The entry is the commit: it is there or not, for everybody at once, and outputs that none names are
not on the log. So nobody is ever held up by a writer that died, and no marker of Kafka's decides
anything. What comes while one commit is under way goes into the next. An entry whose fate is
unknown is written again by a new producer; its number makes the second one void.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

from aiokafka import AIOKafkaProducer
from aiokafka.errors import IllegalOperation, KafkaError, MessageSizeTooLargeError
from aiokafka.structs import TopicPartition

from bus.errors import BusError, Unreachable, Unwritable
from bus.faults import fault_point
from bus.groups import Stream
from bus.kafka.batches import Job, merge, write
from bus.kafka.cluster.cluster import Cluster
from bus.kafka.cluster.refusal import in_words, is_passing
from bus.kafka.cluster.thread import end
from bus.kafka.cluster.topics import JOURNAL
from bus.kafka.journal.entry import Entry, Places
from bus.kafka.journal.journal import Journal, Outcome
from bus.records import Record

GIVE_UP_SECONDS = 60.0
"""Of trying again what a broker that answers refuses. An outage is waited out, however long."""

WRITE_SECONDS = 30.0
BACK_OFF_SECONDS = 0.05
MAX_BACK_OFF_SECONDS = 4.0
CLOSE_SECONDS = 10.0
UNDER_WAY = 4
"""Entries that are written and not yet read back."""

BROKEN = (KafkaError, IllegalOperation, OSError, TimeoutError, AssertionError)
"""What a producer raises that has been cut off in the middle of its work."""

_log = logging.getLogger(__name__)


class Committer:
    """One writer. `check` raises `Fenced` when it has been replaced."""

    def __init__(self, cluster: Cluster, journal: Journal, check: Callable[[], None]) -> None:
        self._cluster, self._journal, self._check = cluster, journal, check
        self._writer, self._seq = uuid4().hex, 0
        self._producer: AIOKafkaProducer | None = None
        self._jobs: asyncio.Queue[Job | None] = asyncio.Queue()
        self._running: asyncio.Task[Any] | None = None
        self._under_way: set[asyncio.Task[None]] = set()

    async def start(self) -> AIOKafkaProducer:
        """Raises `BusError`."""
        if self._producer is None:
            producer = self._cluster.producer()
            await self._cluster.start(producer)
            self._producer = producer
        return self._producer

    def submit(self, entry: Entry, outputs: Sequence[Record] = ()) -> "asyncio.Future[Outcome]":
        job = Job(entry=entry, outputs=outputs)
        self._jobs.put_nowait(job)
        return job.done

    async def run(self) -> None:
        """Until `close`."""
        self._running = asyncio.current_task()
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
            await self._read_back(0)
        finally:
            for task in self._under_way:
                task.cancel()
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
        self._seq += 1
        entry = replace(entry, writer=self._writer, seq=self._seq)
        try:
            outcome = await self._written(entry, outputs)
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
            task = asyncio.ensure_future(self._settle(entry, outcome, jobs))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
            await self._read_back(UNDER_WAY - 1)

    async def _read_back(self, most: int) -> None:
        while len(self._under_way) > most:
            await asyncio.wait(self._under_way, return_when=asyncio.FIRST_COMPLETED)

    async def _settle(
        self, entry: Entry, outcome: "asyncio.Future[Outcome]", jobs: Sequence[Job]
    ) -> None:
        try:
            if (await outcome).verdict == "void":
                self._check()
                raise BusError("A commit was void although its writer is current: start again.")
        except asyncio.CancelledError:
            _fail(jobs, BusError("The bus is closed."))
            raise
        except Exception as error:
            _fail(jobs, error)
        else:
            for job in jobs:
                if not job.done.done():
                    job.done.set_result(outcome.result())
        finally:
            self._journal.forget(entry.id)

    async def _written(self, entry: Entry, outputs: Sequence[Record]) -> "asyncio.Future[Outcome]":
        """When the broker has the entry, or the journal shows it."""
        outcome = self._journal.outcome(entry.id)
        until, pause = time.monotonic() + GIVE_UP_SECONDS, BACK_OFF_SECONDS
        try:
            while not outcome.done():
                try:
                    await self._journal.refresh()
                    self._check()
                    await self._write(await self.start(), entry, outputs)
                except MessageSizeTooLargeError as error:
                    await self._drop()
                    raise Unwritable(f"A record is too large for Kafka: {error}.") from error
                except (*BROKEN, BusError) as error:
                    await self._drop()
                    if isinstance(error, Unreachable) or is_passing(error):
                        until = time.monotonic() + GIVE_UP_SECONDS
                    elif isinstance(error, BusError) or self._journal.failure is not None:
                        raise
                    if time.monotonic() > until:
                        raise BusError(
                            f"The outcome of a commit is unknown ({in_words(error)}): start "
                            "again, the journal knows."
                        ) from error
                    await self._wait(error, pause)
                    await self._journal.catch_up()
                    pause = min(2 * pause, MAX_BACK_OFF_SECONDS)
                else:
                    return outcome
        except BaseException:
            self._journal.forget(entry.id)
            raise
        return outcome

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

    async def _write(
        self, producer: AIOKafkaProducer, entry: Entry, outputs: Sequence[Record]
    ) -> None:
        fresh = self._fresh(outputs)
        async with asyncio.timeout(WRITE_SECONDS):
            written = await write(producer, fresh, entry.id)
            added = {
                (some[0].topic, some[0].partition): Places(raws, [one.event_id for one in some])
                for some, raws in zip(fresh.values(), written, strict=True)
            }
            fault_point("bus.committing")
            await producer.send_and_wait(
                self._cluster.topic(JOURNAL), replace(entry, added=added).encode(), partition=0
            )
        fault_point("bus.committed")

    def _fresh(self, outputs: Sequence[Record]) -> Mapping[TopicPartition, list[Record]]:
        """What is not among the newest on the log."""
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
            job.done.exception()  # Whoever has gone meanwhile is not to be told.
