"""The bus on a Kafka cluster, shared by the processes of many machines.

publish, complete -> writers -> transactions -> topics and journal
take              <- shelves <- topics          heads, find, lag, cursors <- state <- journal

The journal, one partition, holds an entry for every commit; its order is the order of the log.
It goes with the outputs, and with Kafka's own offsets, in one transaction.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from uuid import uuid4

from aiokafka.errors import KafkaError

from bus.cursor import Cursor
from bus.errors import BusError
from bus.events import Event
from bus.kafka.beats import Beats
from bus.kafka.cluster import Cluster, quiet_client_log
from bus.kafka.commits import Committer, new_id
from bus.kafka.entry import Entry
from bus.kafka.journal import Journal
from bus.kafka.member import KafkaMember
from bus.kafka.pages import Pages, find_strays
from bus.kafka.subscription import KafkaSubscription
from bus.kafka.thread import Background, end
from bus.kafka.topics import prepare
from bus.log import Stray
from bus.records import Lag, Record, check_places, to_records
from bus.shares import Stream
from bus.topics import TOPICS, Topic

PAGE = 500


class KafkaBus:
    """Implements `Bus`. `create=False` and `read_only=True` want a run that exists already."""

    def __init__(
        self,
        cluster: Cluster,
        *,
        topics: Mapping[str, Topic] = TOPICS,
        create: bool = True,
        read_only: bool = False,
        lease_seconds: float = 10.0,
    ) -> None:
        self._cluster, self._topics, self._read_only = cluster, topics, read_only
        self._members: list[KafkaMember] = []
        self._publisher: Committer | None = None
        self._closed = False
        quiet_client_log()
        self._thread = Background("bus-kafka")
        try:
            self._thread.call(self._open(create, lease_seconds))
        except BaseException:
            self._thread.close()
            raise

    @property
    def log(self) -> "KafkaBus":
        """Itself: the same connection reads."""
        return self

    async def publish(self, events: Sequence[Event]) -> None:
        records = to_records(events, self._topics)
        await self._thread.wait(self._publish(records))

    async def append(self, records: Sequence[Record]) -> None:
        check_places(records, self._topics)
        await self._thread.wait(self._publish(records))

    def subscribe(
        self,
        topics: Sequence[str],
        group: str,
        member: str,
        *,
        exclusive: bool = False,
        above: int = 0,
    ) -> KafkaSubscription:
        unknown = [topic for topic in topics if topic not in self._topics]
        if unknown or not topics or not member:
            raise BusError(
                f"Group {group!r} cannot read {', '.join(unknown) or 'nothing'} as {member!r}: "
                f"there are the topics {', '.join(self._topics)}."
            )
        self._check_writing()
        joining = Entry(
            id=new_id(),
            kind="join",
            group=group,
            member=member,
            instance=uuid4().hex,
            topics=tuple(topics),
            exclusive=exclusive,
            above=above,
        )
        return self._thread.call(self._subscribe(joining))

    async def follow(self, topic: str, start: int = 0) -> AsyncIterator[Record]:
        at = {stream: start for stream in self._journal.state.raws if stream[0] == topic}
        if not at:
            raise BusError(f"There is no topic {topic!r} on the log of {self._cluster.app}.")
        while True:
            with self._journal.waiting() as news:
                if self._journal.failure is not None:
                    raise self._journal.failure
                pages = [
                    await self._thread.wait(self._page(stream, first, None))
                    for stream, first in at.items()
                    if first < len(self._journal.state.raws[stream])
                ]
                if not pages:
                    await news.wait()
            for record in (record for page in pages for record in page):
                at[record.topic, record.partition] = record.offset + 1
                yield record

    def read(
        self, topic: str, partition: int = 0, start: int = 0, end: int | None = None
    ) -> Iterator[Record]:
        stream = (topic, partition)
        if stream not in self._journal.state.raws:
            raise BusError(
                f"There is no partition {topic}/{partition} on the log of {self._cluster.app}."
            )
        head = self.heads()[stream]
        end = head if end is None else min(end, head)
        while start < end:
            page = self._thread.call(self._page(stream, start, end))
            yield from page
            start += len(page)

    def heads(self) -> dict[Stream, int]:
        self._thread.call(self._journal.catch_up())
        with self._journal.state.lock:
            return self._journal.state.heads()

    def find(self, event_id: str) -> Record | None:
        self._thread.call(self._journal.catch_up())
        with self._journal.state.lock:
            found = self._journal.state.find(event_id)
        if found is None:
            return None
        stream, offset = found
        return self._thread.call(self._page(stream, offset, offset + 1))[0]

    def lag(self, group: str) -> list[Lag]:
        self._thread.call(self._journal.catch_up())
        with self._journal.state.lock:
            heads, holdings = self._journal.state.heads(), self._journal.state.group(group).holdings
            return [
                Lag(
                    topic=topic,
                    partition=part,
                    base=holding.cursor.base,
                    done=holding.cursor.num_done,
                    end=heads[topic, part],
                    epoch=holding.epoch,
                    owner=holding.owner,
                )
                for (topic, part), holding in sorted(holdings.items())
            ]

    def cursors(self, group: str) -> dict[Stream, Cursor]:
        self._thread.call(self._journal.catch_up())
        with self._journal.state.lock:
            holdings = self._journal.state.group(group).holdings
            return {stream: holding.cursor for stream, holding in holdings.items()}

    def groups(self) -> list[str]:
        self._thread.call(self._journal.catch_up())
        with self._journal.state.lock:
            return sorted(self._journal.state.groups)

    def members(self, group: str) -> list[str]:
        self._thread.call(self._journal.catch_up())
        with self._journal.state.lock:
            members = list(self._journal.state.group(group).members.values())
        return sorted(one.name for one in members if not self._beats.silent(group, one.instance))

    @property
    def trouble(self) -> str | None:
        """Why the bus waits for its broker, None while the broker answers."""
        return self._journal.watch.trouble

    def strays(self) -> list[Stray]:
        """What every program can read in the topics of the run, but is not on the log."""
        return self._thread.call(self._find_strays())

    async def close(self) -> None:
        """Members that did not close their subscription lose it when its lease has passed."""
        if not self._closed:
            self._closed = True
            with contextlib.suppress(BusError):
                await self._thread.wait(self._stop())
            await asyncio.to_thread(self._thread.close)

    async def _open(self, create: bool, lease_seconds: float) -> None:
        await prepare(self._cluster, self._topics, create=create and not self._read_only)
        self._journal = Journal(self._cluster, self._topics)
        self._pages = Pages(self._cluster, self._journal.watch)
        self._beats = Beats(self._cluster, lease_seconds)
        self._journal.on_beat = self._beats.heard
        try:
            await self._journal.start()
        except BaseException as error:
            await self._journal.stop()
            if isinstance(error, KafkaError):
                raise self._cluster.unreachable(error) from error
            raise
        self._always = [
            self._thread.spawn(self._journal.watch.run()),
            self._thread.spawn(self._journal.run()),
            self._thread.spawn(self._beats.run()),
        ]
        await self._journal.catch_up()

    async def _stop(self) -> None:
        writers = [member.abandon() for member in self._members]
        if self._publisher is not None:
            writers.append(self._publisher.close())
        await asyncio.gather(*writers)
        for task in self._always:
            await end(task)
        await asyncio.gather(self._beats.stop(), self._pages.stop(), self._journal.stop())

    async def _publish(self, records: Sequence[Record]) -> None:
        self._check_writing()
        if self._publisher is None:
            self._publisher = Committer(
                self._cluster, self._journal, f"publish.{uuid4().hex}", lambda: None
            )
            self._thread.spawn(self._publisher.run())
        if records:
            await self._publisher.submit(Entry(id=new_id()), records)

    async def _subscribe(self, joining: Entry) -> KafkaSubscription:
        member = KafkaMember(self._cluster, self._journal, self._thread, self._beats, joining)
        await member.join()
        self._members.append(member)
        return KafkaSubscription(
            member, self._journal, self._thread, self._topics, self._members.remove
        )

    async def _find_strays(self) -> list[Stray]:
        raws = self._journal.state.raws
        await self._journal.catch_up()
        with self._journal.state.lock:
            known = {stream: list(some) for stream, some in raws.items()}
        try:
            found = await find_strays(self._cluster, known)
        except KafkaError as error:
            raise BusError(
                f"The topics of {self._cluster.app} cannot be read ({error})."
            ) from error
        # What came while the topics were read has found its place meanwhile.
        await self._journal.catch_up()
        with self._journal.state.lock:
            places = {stream: set(raws[stream][len(known[stream]) :]) for stream in known}
        return [one for one in found if one.raw not in places[one.stream]]

    async def _page(self, stream: Stream, start: int, end: int | None) -> list[Record]:
        with self._journal.state.lock:
            stop = start + PAGE if end is None else min(end, start + PAGE)
            raws = list(self._journal.state.raws[stream][start:stop])
        return await self._pages.read(stream, start, raws)

    def _check_writing(self) -> None:
        if self._read_only:
            raise BusError(f"The log of {self._cluster.app} was opened for reading only.")
