"""The bus on a Kafka cluster, shared by the processes of many machines.

publish, complete -> writers -> topics, then journal
take              <- shelves <- topics          heads, lag, cursors <- state <- journal, snapshots

The journal, one partition, holds an entry for every commit; its order is the order of the log. An
entry is one record, so a commit needs no transaction of Kafka's.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from uuid import uuid4

from aiokafka.errors import KafkaError

from bus.cursor import Cursor
from bus.errors import BusError, Trimmed
from bus.events import Event
from bus.faults import fault_point
from bus.groups import Stream, check_done
from bus.kafka.beats import Beats
from bus.kafka.cluster.cluster import Cluster, quiet_client_log
from bus.kafka.cluster.identity import check_ids
from bus.kafka.cluster.thread import Background, end
from bus.kafka.cluster.topics import BEATS, JOURNAL, SNAPSHOTS, prepare
from bus.kafka.commits import Committer, new_id
from bus.kafka.journal.entry import Entry
from bus.kafka.journal.ids import Ids
from bus.kafka.journal.journal import Journal, Outcome
from bus.kafka.journal.places import PAGE, Scanner, Window
from bus.kafka.journal.snapshots import EVERY_BYTES, Snapshot, taken, write
from bus.kafka.member import KafkaMember
from bus.kafka.pages import Pages
from bus.kafka.subscription import KafkaSubscription
from bus.log import Cut, Stray, cut_of
from bus.records import Lag, Record, check_places, to_records
from bus.topics import TOPICS, Topic


class KafkaBus:
    """Implements `Bus`. `create=False` and `read_only=True` want a run that exists already. A new
    one gets `partitions` of each co-partitioned topic, None for as many as it says; another keeps
    its own."""

    def __init__(
        self,
        cluster: Cluster,
        *,
        topics: Mapping[str, Topic] = TOPICS,
        partitions: int | None = None,
        create: bool = True,
        read_only: bool = False,
        lease_seconds: float = 10.0,
    ) -> None:
        self._cluster, self._topics, self._read_only = cluster, topics, read_only
        self._members: list[KafkaMember] = []
        self._publisher: Committer | None = None
        self._always: list[asyncio.Task[None]] = []
        self._closed = False
        quiet_client_log()
        self._thread = Background("bus-kafka")
        try:
            self._thread.call(self._open(partitions, create, lease_seconds))
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

    async def trim(self, below: Mapping[Stream, int]) -> None:
        await self._thread.wait(self._trim(below))

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
        state = self._journal.state
        windows = {stream: Window(start) for stream in state.heads if stream[0] == topic}
        if not windows:
            raise BusError(f"There is no topic {topic!r} on the log of {self._cluster.app}.")
        with state.lock:
            for stream, window in windows.items():
                state.feeds.setdefault(stream, []).append(window.learn)
        try:
            while True:
                with self._journal.waiting() as news:
                    if self._journal.failure is not None:
                        raise self._journal.failure
                    pages = [
                        await self._thread.wait(self._next(stream, window))
                        for stream, window in windows.items()
                        if window.places or window.end < state.heads[stream]
                    ]
                    if not pages:
                        await news.wait()
                for record in (record for page in pages for record in page):
                    yield record
        finally:
            with state.lock:
                for stream, window in windows.items():
                    state.feeds[stream].remove(window.learn)

    def read(
        self, topic: str, partition: int = 0, start: int = 0, end: int | None = None
    ) -> Iterator[Record]:
        stream = (topic, partition)
        if stream not in self._journal.state.heads:
            raise BusError(
                f"There is no partition {topic}/{partition} on the log of {self._cluster.app}."
            )
        head = self.heads()[stream]
        end = head if end is None else min(end, head)
        while start < end:
            if start < (first := self._journal.state.starts.get(stream, 0)):
                raise Trimmed(topic, partition, first)
            page = self._thread.call(self._pages.read(stream, start, min(PAGE, end - start)))
            yield from page
            start += len(page)

    def heads(self) -> dict[Stream, int]:
        self._thread.call(self._journal.catch_up())
        with self._journal.state.lock:
            return dict(self._journal.state.heads)

    def starts(self) -> dict[Stream, int]:
        self._thread.call(self._journal.catch_up())
        with self._journal.state.lock:
            return dict(self._journal.state.starts)

    def cut(self) -> Cut:
        """What the brokers have acknowledged is on as many of them as the run asks for."""
        self._thread.call(self._journal.catch_up())
        with self._journal.state.lock:
            return cut_of(self._journal.state.heads, self._journal.state.groups)

    def commits(self, topic: str, partition: int, start: int, end: int) -> Sequence[int]:
        """Numbers that grow from entry to entry of the journal, of the records [start, end)."""
        return self._thread.call(self._order.commits((topic, partition), start, end - start))

    def find(self, event_id: str) -> Record | None:
        self._thread.call(self._journal.catch_up())
        found = self._thread.call(self._ids.find(event_id)) if event_id else None
        if found is None:
            return None
        stream, offset = found
        if offset < self._journal.state.starts.get(stream, 0):
            return None
        return self._thread.call(self._pages.read(stream, offset, 1))[0]

    def lag(self, group: str) -> list[Lag]:
        self._thread.call(self._journal.catch_up())
        with self._journal.state.lock:
            state = self._journal.state
            return state.group(group).lags(state.heads)

    def cursors(self, group: str) -> dict[Stream, Cursor]:
        self._thread.call(self._journal.catch_up())
        with self._journal.state.lock:
            return self._journal.state.group(group).cursors()

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

    async def _open(self, partitions: int | None, create: bool, lease_seconds: float) -> None:
        ids, self._topics = await prepare(
            self._cluster,
            self._topics,
            partitions=partitions,
            create=create,
            read_only=self._read_only,
        )
        self._journal = Journal(self._cluster, self._topics)
        self._scanner = Scanner(self._cluster, self._journal)
        self._order = Scanner(self._cluster, self._journal)
        self._pages = Pages(self._cluster, self._journal, self._scanner)
        self._ids = Ids(self._journal, self._scanner, f"{self._cluster.app}-{ids[JOURNAL]}")
        self._beats = Beats(self._cluster, lease_seconds)
        self._journal.on_beat = self._beats.heard
        self._journal.on_snapshot = self._kept
        try:
            await self._journal.start(SNAPSHOTS in ids)
            await self._check(ids)
        except BaseException as error:
            await self._end()
            if isinstance(error, KafkaError):
                raise self._cluster.unreachable(error) from error
            raise

    async def _check(self, ids: Mapping[str, str]) -> None:
        """That the topics are those that the journal speaks of, and whole."""
        start = self._journal.state.num_bytes
        self._always = [
            self._thread.spawn(self._journal.watch.run()),
            self._thread.spawn(self._journal.run()),
            self._thread.spawn(self._beats.run()),
        ]
        await self._journal.catch_up()
        state = self._journal.state
        lasting = {name: one for name, one in ids.items() if name not in (BEATS, SNAPSHOTS)}
        check_ids(self._cluster, lasting, state.topic_ids)
        await self._pages.check_ends()
        if not self._read_only:
            if not lasting.keys() <= state.topic_ids.keys():
                await self._submit(Entry(id=new_id(), kind="topics", ids=lasting))
            if state.num_bytes - start > EVERY_BYTES:
                with state.lock:
                    snapshot = taken(state)
                await self._keep(snapshot)

    async def _stop(self) -> None:
        writers = [member.abandon() for member in self._members]
        if self._publisher is not None:
            writers.append(self._publisher.close())
        await asyncio.gather(*writers)
        await self._end()

    async def _end(self) -> None:
        for task in self._always:
            await end(task)
        await asyncio.gather(
            self._beats.stop(),
            self._pages.stop(),
            self._scanner.stop(),
            self._order.stop(),
            self._journal.stop(),
        )
        self._ids.close()

    async def _publish(self, records: Sequence[Record]) -> None:
        self._check_writing()
        if records:
            await self._submit(Entry(id=new_id()), records)

    async def _trim(self, below: Mapping[Stream, int]) -> None:
        """Said first, then done: whoever is killed between them has it done by the next."""
        self._check_writing()
        await self._journal.catch_up()
        with self._journal.state.lock:
            check_done(self._journal.state.groups, below)
            heads = dict(self._journal.state.heads)
        wanted = {stream: min(end, heads[stream] - 1) for stream, end in below.items()}
        said = {stream: end for stream, end in wanted.items() if end > 0}
        floors = {at: await self._pages.lowest(at, end) for at, end in said.items()}
        await self._submit(Entry(id=new_id(), kind="trim", below=said, floors=floors))
        fault_point("bus.trimming")
        with self._journal.state.lock:
            starts = dict(self._journal.state.starts)
        await self._pages.remove(starts)

    async def _submit(self, entry: Entry, records: Sequence[Record] = ()) -> Outcome:
        if self._publisher is None:
            self._publisher = Committer(self._cluster, self._journal, lambda: None)
            self._thread.spawn(self._publisher.run())
        return await self._publisher.submit(entry, records)

    def _kept(self, snapshot: Snapshot) -> None:
        self._thread.spawn(self._keep(snapshot))

    async def _keep(self, snapshot: Snapshot) -> None:
        """A snapshot that cannot be kept costs those who open the log a moment, no more."""
        entry = Entry(id=new_id(), kind="snapshot", at=snapshot.at, digest=snapshot.digest)
        with contextlib.suppress(BusError, KafkaError, TimeoutError):
            mark = (await self._submit(entry)).position
            assert self._publisher is not None
            fault_point("bus.snapshot")
            await write(self._cluster, await self._publisher.start(), snapshot, mark)

    async def _next(self, stream: Stream, window: Window) -> list[Record]:
        """What a follower has not seen."""
        if not window.places:
            looked_up = await self._scanner.places(stream, window.end)
            with self._journal.state.lock:
                window.learn(looked_up)
        with self._journal.state.lock:
            places = [window.places.popleft() for _ in range(min(PAGE, len(window.places)))]
        return await self._pages.fetch(stream, places)

    async def _subscribe(self, joining: Entry) -> KafkaSubscription:
        member = KafkaMember(
            self._cluster, self._journal, self._thread, self._beats, self._scanner, joining
        )
        await member.join()
        self._members.append(member)
        return KafkaSubscription(
            member, self._journal, self._thread, self._topics, self._members.remove
        )

    async def _find_strays(self) -> list[Stray]:
        await self._journal.catch_up()
        found = [
            Stray(stream=(JOURNAL, 0), raw=raw, event_id="", ours=False)
            for raw in self._journal.state.strangers
        ]
        for stream in self._journal.state.heads:
            found += await self._pages.strays(stream)
        return found

    def _check_writing(self) -> None:
        if self._read_only:
            raise BusError(f"The log of {self._cluster.app} was opened for reading only.")
