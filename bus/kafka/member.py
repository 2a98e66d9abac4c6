"""One instance of a member of a group on Kafka: joining, completing, giving up, leaving. Runs in
the bus's thread, except for what says otherwise.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from bus.cursor import Cursor
from bus.errors import BusError, Fenced, Unreachable
from bus.groups import Claim, Group, Member, Stream, Surplus
from bus.kafka.beats import Beats, Life
from bus.kafka.cluster.cluster import Cluster
from bus.kafka.cluster.thread import Background, end
from bus.kafka.commits import Committer, new_id
from bus.kafka.inbox import Inbox
from bus.kafka.journal.entry import Entry, Kind, Places
from bus.kafka.journal.journal import RETRY_SECONDS, Journal
from bus.kafka.journal.places import Scanner
from bus.records import Delivery, Positioned, Record


class KafkaMember:
    def __init__(
        self,
        cluster: Cluster,
        journal: Journal,
        thread: Background,
        beats: Beats,
        scanner: Scanner,
        joining: Entry,
    ) -> None:
        self.joining = joining
        self.group, self.name = joining.group, joining.member
        self.closed = False
        self.inbox = Inbox(cluster, journal, scanner, joining.group, self._adopt)
        self._journal, self._thread, self._beats = journal, thread, beats
        self._surplus = Surplus(self.group, self.name, beats.lease_seconds)
        self._joined, self._epoch = False, 0
        self._reading: asyncio.Task[None] | None = None
        self._committer = Committer(cluster, journal, self.check)
        self._life = Life(
            group=self.group, instance=joining.instance, state=self.state, expire=self._expire
        )

    def state(self) -> Group:
        return self._journal.state.group(self.group)

    def check(self) -> None:
        """Raises `Fenced` or `BusError` when this instance must stop; from any thread."""
        if self.closed:
            raise BusError("The subscription is closed.")
        for failure in (self._journal.failure, self.inbox.failure):
            if failure is not None:
                raise failure
        if self._joined and not self.state().is_current(self.name, self.joining.instance):
            raise Fenced(
                f"Another instance of {self.name!r} has taken over in group {self.group!r}, or "
                "this one was silent for too long."
            )

    def owned(self) -> dict[Stream, int]:
        """The epoch of every partition owned; under the lock, from any thread."""
        state = self.state()
        if not self._joined or not state.is_current(self.name, self.joining.instance):
            return {}
        return state.owned(self.name)

    def epoch(self) -> int:
        """The highest epoch of what is owned, or was owned lastly; under the lock."""
        self._epoch = max(self.owned().values(), default=self._epoch)
        return self._epoch

    def look_for_surplus(self, now: float) -> float | None:
        """As `Surplus.look`; under the lock, from any thread."""
        others = [] if self.owned() else self.state().crowd(self.name)
        signs = {one.name: self._beats.sign(self.group, one.instance) for one in others}
        return self._surplus.look(now, signs)

    async def join(self) -> None:
        try:
            await self._journal.catch_up()
            await self._through_outages(self._committer.start)
            await self._through_outages(self.inbox.start)
            self._thread.spawn(self._committer.run())
            self._beats.lives.append(self._life)
            await self._committer.submit(self.joining)
        except BaseException:
            if self._life in self._beats.lives:
                self._beats.lives.remove(self._life)
            await self.abandon()
            raise
        self._joined = True
        self._journal.listeners.append(self.changed)
        self.changed()
        self._reading = self._thread.spawn(self.inbox.run())

    async def _through_outages(self, act: Callable[[], Awaitable[object]]) -> None:
        while True:
            await self._journal.watch.over()
            try:
                await act()
                return
            except Unreachable:
                await asyncio.sleep(RETRY_SECONDS)

    async def leave(self) -> None:
        """Who cannot say so, because the broker is away or it was fenced, is gone all the same."""
        self._beats.lives.remove(self._life)
        self._journal.listeners.remove(self.changed)
        try:
            self.check()
            self._spawn(self._entry("leave"))
        except (Fenced, BusError):
            pass
        finally:
            await self.abandon()
            self.closed = True
            self._journal.notify()

    async def abandon(self) -> None:
        """Finish pending commits and fall silent."""
        await end(self._reading)
        await asyncio.gather(self._committer.close(), self.inbox.stop())

    async def complete(self, done: Sequence[Positioned], outputs: Sequence[Record]) -> None:
        self.check()
        claims: dict[Stream, tuple[int, list[int]]] = {}
        owned = self.owned()
        for positioned in done:
            stream, epoch = self._claimed(positioned, owned)
            if positioned.offset >= self._journal.state.heads[stream]:
                await self._journal.catch_up()
            end = self._journal.state.heads[stream]
            if not 0 <= positioned.offset < end:
                raise BusError(
                    f"Offset {positioned.offset} of {stream[0]}/{stream[1]} cannot be completed: "
                    f"the log ends at {end}."
                )
            claims.setdefault(stream, (epoch, []))[1].append(positioned.offset)
        entry = self._entry(
            done={
                stream: Claim(epoch, Cursor(-1).advance(offsets).runs)
                for stream, (epoch, offsets) in claims.items()
            }
        )
        if claims or outputs:
            await self._committer.submit(entry, outputs)
        with self._journal.state.lock:
            for stream, (_, offsets) in claims.items():
                if (shelf := self.inbox.shelves.get(stream)) is not None:
                    shelf.close(offsets)
        self.changed()

    def changed(self) -> None:
        """Own what is ours now, and give up what is due to others and has no open work."""
        released: dict[Stream, int] = {}
        with self._journal.state.lock:
            self.epoch()
            self.inbox.follow(self.owned())
            holdings = self.state().holdings
            for stream, shelf in self.inbox.shelves.items():
                if holdings[stream].draining and not shelf.open and not shelf.releasing:
                    shelf.releasing = True
                    released[stream] = shelf.epoch
        if released:
            self._spawn(self._entry(released=released))

    def _claimed(self, positioned: Positioned, owned: Mapping[Stream, int]) -> tuple[Stream, int]:
        stream = (positioned.topic, positioned.partition)
        if stream[0] not in self.joining.topics:
            raise BusError(f"This member of the group does not read {stream[0]!r}.")
        epoch = owned.get(stream)
        taken_under = positioned.epoch if isinstance(positioned, Delivery) else epoch
        if epoch is None or taken_under != epoch:
            raise Fenced(f"{stream[0]}/{stream[1]} does not belong to {self.name!r} any more.")
        return stream, epoch

    def _adopt(self, strangers: Mapping[Stream, Places]) -> None:
        """Give records of other programs their place on the journal, as their first reader."""
        self._spawn(self._entry(foreign=strangers))

    def _expire(self, silent: Member) -> None:
        self._spawn(
            Entry(
                id=new_id(),
                kind="expire",
                group=self.group,
                member=silent.name,
                instance=silent.instance,
            )
        )

    def _spawn(self, entry: Entry) -> None:
        """Commit; nobody waits for it, and a failure that lasts shows at the next commit."""
        submitted = self._committer.submit(entry)
        submitted.add_done_callback(lambda done: done.cancelled() or done.exception())

    def _entry(
        self,
        kind: Kind = "commit",
        *,
        done: Mapping[Stream, Claim] | None = None,
        released: Mapping[Stream, int] | None = None,
        foreign: Mapping[Stream, Places] | None = None,
    ) -> Entry:
        return Entry(
            id=new_id(),
            kind=kind,
            group=self.group,
            member=self.name,
            instance=self.joining.instance,
            done=done or {},
            released=released or {},
            foreign=foreign or {},
        )
