"""The runs of a page, side by side, and who waits for their news."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import suppress

from observability.dashboard.asked import Wrong
from observability.dashboard.made import Made
from observability.dashboard.places import Places
from observability.dashboard.source import Source
from observability.dashboard.watched import Watched


class Run:
    """One of them."""

    def __init__(self, source: Source, watched: Watched) -> None:
        self.source, self.watched, self.places = source, watched, Places(watched)
        self.made = Made(watched)

    @property
    def id(self) -> str:
        return self.source.id


class Runs:
    """By id, from `start` to `close`."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: set[asyncio.Event] = set()
        self._runs = {one.id: Run(one, Watched(one, self._tell)) for one in sources}

    def __iter__(self) -> Iterator[Run]:
        return iter(self._runs.values())

    def named(self, name: str) -> Run:
        """Raises `Wrong`."""
        if name not in self._runs:
            there = ", ".join(self._runs) or "none"
            raise Wrong(404, f"there is no run {name[:100]} here: there is {there}")
        return self._runs[name]

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        for run in self:
            run.watched.start()

    async def close(self) -> None:
        self._loop = None
        await asyncio.gather(*(asyncio.to_thread(run.watched.close) for run in self))

    def news(self) -> asyncio.Event:
        """Set whenever any run has news, until it is `forget`ten."""
        event = asyncio.Event()
        self._waiting.add(event)
        return event

    def forget(self, event: asyncio.Event) -> None:
        self._waiting.discard(event)

    def _tell(self) -> None:
        """Called from the threads that follow."""
        if self._loop is not None:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        for event in self._waiting:
            event.set()
