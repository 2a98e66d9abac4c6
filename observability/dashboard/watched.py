"""One run, followed to the ends of its log in a thread of its own: its state, its index, what goes
wrong. A broker that is away or a damaged record is a sentence, until it is over.

log -> records in the order in which they were said -> State (snapshots on the way)
                                                    -> Index
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from time import monotonic, time
from typing import TypeVar

from bus.bus import Bus
from bus.errors import BusError
from bus.groups import Stream
from bus.log import Log
from bus.records import Record
from observability.archive.place import ArchiveError
from observability.dashboard.index.filling import Index, event_of, time_of
from observability.dashboard.index.store import Store, is_damage
from observability.dashboard.pace import Pace
from observability.dashboard.source import Source
from observability.lineage.chain import Chain
from observability.replay.observe import observe, records
from observability.replay.snapshots import Snapshots
from observability.replay.state import State

EVERY = 10_000
"""Events between two snapshots: so many are folded for a position at most."""

MOST = 256
LOOK_SECONDS = 0.25
AGAIN_SECONDS = 2.0
COMPARE_SECONDS = 1.0
_PAGE = 500
_OPENING = "the log is being opened: ask again in a moment"
_STATES = 8
_FAR = 5 * EVERY
_NEVER = 1 << 60

Looked = TypeVar("Looked")
_log = logging.getLogger(__name__)


class Unavailable(Exception):
    """The log cannot be read at the moment: one sentence."""


class Watched:
    """The run of a `source`, from `start` to `close`. `error` is why its log cannot be followed,
    None while it can; `heads` is where its log ended at the last look; `on_news` is called after
    each look that found something else, from the thread; `changes` is how often another run, or
    another log of it, was found in its place."""

    def __init__(self, source: Source, on_news: Callable[[], None] = lambda: None) -> None:
        self.source = source
        self.error: str | None = None
        self.heads: dict[Stream, int] = {}
        self.newest_time: float | None = None
        self.pace = Pace()
        self.changes = 0
        self.on_news = on_news
        self._identity: object = None
        self._compared = 0.0
        self.snapshots = Snapshots(source.cache, source.run, most=MOST)
        self._index: Index | None = None
        self._bus: Bus | None = None
        self._before: Bus | None = None
        self._state = State()
        self._folded = 0
        self._states: dict[tuple[int, tuple[tuple[Stream, int], ...]], State] = {}
        self._folding = threading.Lock()
        self._chain: tuple[Log, Chain] | None = None
        self._chaining = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._follow, name=f"follow-{source.id}", daemon=True
        )

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join(timeout=10.0)

    @property
    def log(self) -> Log:
        """Raises `Unavailable`."""
        if self._bus is None:
            raise Unavailable(self.error or _OPENING)
        return self._bus.log

    @property
    def is_opening(self) -> bool:
        """Whether it was not seen yet if the log can be read."""
        return self._index is None and self.error is None

    @property
    def store(self) -> Store:
        """Raises `Unavailable`."""
        if self._index is None:
            raise Unavailable(self.error or _OPENING)
        return self._index.store

    def look(self, at: Callable[[Log], Looked]) -> Looked:
        """What is seen on the log; once more where it was opened again meanwhile. Raises
        `Unavailable`."""
        log = self.log
        try:
            return at(log)
        except (BusError, ArchiveError) as error:
            if self._bus is None or self._bus.log is log:
                raise Unavailable(str(error)) from None
        try:
            return at(self.log)
        except (BusError, ArchiveError) as error:
            raise Unavailable(str(error)) from None

    def chain(self, log: Log) -> Chain:
        """The versions of the log as a graph, read on since the last time."""
        with self._chaining:
            if self._chain is None or self._chain[0] is not log:
                self._chain = log, Chain(log)
            chain = self._chain[1]
            chain.read_on(log)
        return chain

    @property
    def indexed(self) -> dict[str, int | bool]:
        """How far the index has come."""
        done = self._index.num_events if self._index is not None else 0
        whole = sum(self.heads.values())
        return {"done": done, "events": whole, "ready": self._index is not None and done >= whole}

    def state(self, ends: Mapping[Stream, int] | None, shown: Callable[[State], Looked]) -> Looked:
        """What is `shown` of the state at a position, None for now: then as far as it was followed.
        Raises `Unavailable`, also for what the first reading of a long log has not come to."""
        with self._folding:
            if ends is None or self._is_at(ends):
                return shown(self._state)
            ahead = sum(ends.values()) - self._folded
        if ahead > _FAR:
            raise Unavailable(
                f"the log is being read for the first time: {self._folded:,} of "
                f"{sum(self.heads.values()):,} events so far, this position lies beyond them"
            )
        key = self.changes, tuple(sorted(item for item in ends.items() if item[1]))
        state = self._states.get(key)
        if state is None:
            # No snapshot is left for every place that somebody looks at.
            state = self.look(lambda log: observe(log, ends, self.snapshots, every=_NEVER))
            self._states[key] = state
            while len(self._states) > _STATES:
                with suppress(KeyError, StopIteration):
                    del self._states[next(iter(self._states))]
        return shown(state)

    def _is_at(self, ends: Mapping[Stream, int]) -> bool:
        return self._state.ends == {stream: end for stream, end in ends.items() if end}

    def _follow(self) -> None:
        """For ever: what cannot be read now is tried again."""
        while not self._stop.is_set():
            try:
                self._open()
                while not self._stop.wait(LOOK_SECONDS if self._look_once() else 0.0):
                    pass
            except (BusError, ArchiveError, OSError) as error:
                self._say(str(error))
            except Exception as error:
                _log.exception("following %s", self.source.id)
                said = "the log cannot be followed"
                if is_damage(error) and self._index is not None:
                    self._index.store.remove()
                    self._index, said = None, "the index is damaged and is made anew"
                self._say(f"{said} ({type(error).__name__}: {error})")
            self._stop.wait(AGAIN_SECONDS)
        self._shut(self._before)
        self._shut(self._bus)
        if self._index is not None:
            self._index.store.close()

    def _open(self) -> None:
        identity, bus = self.source.identity(), self.source.open()
        if identity != self._identity:
            self._leave()
            self._identity = identity
            self.snapshots = Snapshots(self.source.cache, self.source.run, most=MOST)
        self._shut(self._before)
        # Whoever reads it at the moment comes to an end first.
        self._before, self._bus = self._bus, bus
        log, heads = bus.log, bus.log.heads()
        if self._index is None:
            self._index = Index(Store(self.source.cache, self.source.run))
        self._index.begin(log)
        with self._folding:
            if any(end > heads.get(at, 0) for at, end in self._state.ends.items()):
                self._state = State()
            if not self._state.num_events:
                self._state = self.snapshots.newest(log, heads)
            self._folded = self._state.num_events
        self.heads, self.newest_time = heads, _newest_time(log, heads)
        self.on_news()

    def _compare(self) -> None:
        """Now and then: raises `BusError` where what was opened is not there any more, of which
        nothing is shown from then on."""
        if monotonic() - self._compared < COMPARE_SECONDS:
            return
        self._compared = monotonic()
        try:
            if self.source.identity() == self._identity:
                return
            said = BusError(f"the run in {self.source.path} is another one: it is opened anew")
        except BusError as error:
            said = error
        self._leave()
        raise said

    def _leave(self) -> None:
        """Nothing of what was followed is kept."""
        self._shut(self._before)
        # Whoever reads it at the moment comes to an end first.
        self._before, self._bus = self._bus, None
        if self._index is not None:
            self._index.store.close()
        with self._folding:
            self._index, self._state, self._folded, self._states = None, State(), 0, {}
        self.heads, self.newest_time, self.pace = {}, None, Pace()
        self.changes += 1

    def _look_once(self) -> bool:
        """Take what is there; whether that was all."""
        self._compare()
        log, index = self.log, self._index
        assert index is not None
        if index.store.damage is not None:
            raise index.store.damage
        heads = log.heads()
        starts = {at: min(index.ends.get(at, 0), self._state.ends.get(at, 0)) for at in heads}
        new = {at: end for at, end in heads.items() if starts[at] < end}
        has_news = heads != self.heads or self.error is not None
        self.heads = heads
        number, since = 0, monotonic()
        for number, record in enumerate(records(log, starts, new), 1):
            self._take(log, record)
            if number % _PAGE == 0:
                index.write()
                if self._stop.is_set():
                    return True
                if monotonic() - since > 2 * LOOK_SECONDS:
                    # Whoever waits for news sees how far this has come.
                    since, self.heads = monotonic(), log.heads()
                    self.on_news()
        if number:
            index.write()
        self.pace.look(time(), heads)
        if has_news or number:
            self.error = None
            self.on_news()
        return True

    def _take(self, log: Log, record: Record) -> None:
        index, stream = self._index, (record.topic, record.partition)
        assert index is not None
        if record.offset >= index.ends.get(stream, 0):
            index.take(record, event_of(record))
            self.newest_time = max(time_of(record) or 0.0, self.newest_time or 0.0)
        if record.offset >= self._state.ends.get(stream, 0):
            with self._folding:
                self._state.take(record)
            self._folded += 1
            if self._folded % EVERY == 0:
                self.snapshots.keep(self._state, log)

    def _say(self, sentence: str) -> None:
        if sentence != self.error:
            self.error = sentence
            self.on_news()

    @staticmethod
    def _shut(bus: Bus | None) -> None:
        if bus is not None:
            with suppress(BusError, OSError):
                asyncio.run(bus.close())


def _newest_time(log: Log, heads: Mapping[Stream, int]) -> float | None:
    """Of the last records, those that can be read."""
    found: list[float] = []
    for stream, end in heads.items():
        with suppress(BusError):
            found += [time_of(one) or 0.0 for one in log.read(*stream, max(0, end - 1), end)]
    return max(found, default=None)
