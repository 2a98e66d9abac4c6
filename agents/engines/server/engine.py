"""`Engine` over servers elsewhere: chooses one for each request, asks again when one is lost, and
waits where waiting helps. Knows no socket and loads no model library.

    generate -> the least busy server that serves the version in force -> completions
                     `-- lost: again, there or elsewhere
    swap     -> (servers follow `weights` themselves) wait until the slowest one is there
"""

import asyncio
import hashlib
import logging
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from agents.engines.checkpoint.prompting import PROMPTING, Prompting, read_prompting
from agents.engines.engine import Completion, EngineUnusable, Prompt, Request, Swap, SwapRefused
from agents.engines.server.link import Link, Lost
from agents.engines.server.wire import digest_of
from agents.engines.stopping import stopped

_log = logging.getLogger(__name__)
_Found = TypeVar("_Found")
_LOOK_SECONDS = 1.0
_AGAIN_SECONDS = 0.05
_SAY_SECONDS = 30.0


class ServerEngine:
    """`Engine` that generates on the servers of `links`.

    `version` is the lowest one that they serve, and never goes back: a server that starts again
    gets no requests until it is there. A server that refuses a version, or is behind another for
    `lag_seconds`, is left out until it has caught up. Whatever finds no server waits
    `patience_seconds` for one, then raises `EngineUnusable` with what is wrong.
    """

    def __init__(
        self, links: Sequence[Link], *, patience_seconds: float = 300.0, lag_seconds: float = 30.0
    ) -> None:
        self._links = tuple(links)
        self._patience_seconds = patience_seconds
        self._lag_seconds = lag_seconds
        self._behind_since: dict[str, float] = {}
        self._known: dict[int, str] = {}
        self._version = -1
        self._prompting: Prompting | None = None
        self._news = asyncio.Event()
        self._swapping = asyncio.Lock()
        self._connecting: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def version(self) -> int:
        return -1 if self._prompting is None else self._version

    @property
    def alive(self) -> int:
        """How many servers serve something at this moment."""
        return sum(link.version >= 0 for link in self._links)

    def encode(self, prompt: Prompt) -> tuple[int, ...]:
        return self._ready().encode(prompt)

    def decode(self, tokens: Sequence[int]) -> str:
        return self._ready().decode(tokens)

    async def generate(self, request: Request) -> list[Completion]:
        """See `Engine`. No answer is of a version below the one in force now."""
        self._ready()
        at_least = self._version
        name = uuid.uuid4().hex
        lost, say_at = 0, time.monotonic() + _SAY_SECONDS
        while True:
            link = await self._found(lambda: self._best(at_least))
            try:
                made = await link.generate(name, request, at_least)
                return [stopped(each, request.stop, self.decode) for each in made]
            except Lost as error:
                lost += 1
                if time.monotonic() >= say_at:
                    _log.warning("a request was lost %d times and is asked again: %s", lost, error)
                    say_at = time.monotonic() + _SAY_SECONDS
                # Its news may come a moment later than the loss.
                await asyncio.sleep(_AGAIN_SECONDS)

    async def swap(self, version: int, folder: Path, files: dict[str, str]) -> Swap:
        """See `Engine`: here it waits until every server that can serves `version`.

        Raises `SwapRefused` if every server refused it.
        """
        async with self._swapping:
            before = self.version
            if self._closed or version <= before:
                return Swap(from_version=before, to_version=before)
            started = time.perf_counter()
            self._connect()
            self._known[version] = digest_of(files)
            for link in self._links:
                await link.want(version, folder, files)
            await self._found(lambda: True if self._served(version) else None)
            if self._prompting is None:
                self._prompting = await self._fetch(files)
            self._known = {known: self._known[known] for known in self._known if known >= version}
            waited_ms = 1e3 * (time.perf_counter() - started)
            return _report(before, self._version, waited_ms, self._links)

    async def close(self) -> None:
        self._closed = True
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait([self._connecting])
        self._tell()

    def _ready(self) -> Prompting:
        if self._closed:
            raise RuntimeError("the engine was closed")
        if self._prompting is None:
            raise RuntimeError("the engine serves no weights yet: call swap first")
        return self._prompting

    def _connect(self) -> None:
        if self._connecting is None:
            self._connecting = asyncio.create_task(self._stay_connected())

    async def _stay_connected(self) -> None:
        async with asyncio.TaskGroup() as group:
            for link in self._links:
                group.create_task(link.run(self._tell))

    def _tell(self) -> None:
        """Something about a server has changed."""
        if in_step := [link.version for link in self._in_step()]:
            self._version = max(self._version, min(in_step))
        self._news.set()
        self._news = asyncio.Event()

    def _in_step(self) -> list[Link]:
        """The servers that count: alive, of this run, and not left behind."""
        alive = [link for link in self._links if link.version >= 0 and not self._foreign(link)]
        newest = max((link.version for link in alive), default=-1)
        now = time.monotonic()
        in_step = []
        for link in alive:
            if link.version == newest:
                self._behind_since.pop(link.url, None)
                in_step.append(link)
                continue
            since = self._behind_since.setdefault(link.url, now)
            if link.refused[0] <= link.version and now - since < self._lag_seconds:
                in_step.append(link)
        return in_step

    def _foreign(self, link: Link) -> bool:
        known = self._known.get(link.version)
        return bool(known and link.digest and known != link.digest)

    def _best(self, at_least: int) -> Link | None:
        able = [link for link in self._in_step() if link.version >= at_least]
        return min(able, key=lambda link: link.in_flight, default=None)

    def _served(self, version: int) -> bool:
        """Whether `version` is in force. Raises as soon as it cannot be."""
        if self._version >= version:
            return True
        alive = [link for link in self._links if link.version >= 0]
        if alive and all(link.refused[0] >= version for link in alive):
            raise SwapRefused(alive[0].refused[1])
        if faults := [link.fault for link in self._links if link.fault]:
            if not alive:
                raise EngineUnusable(faults[0])
        elif alive and all(self._foreign(link) for link in alive):
            raise EngineUnusable(self._trouble())
        return False

    async def _found(self, look: Callable[[], _Found | None]) -> _Found:
        """What `look` finds, now or after news."""
        deadline = time.monotonic() + self._patience_seconds
        while True:
            if self._closed:
                raise RuntimeError("the engine was closed")
            found = look()
            if found is not None:
                return found
            if time.monotonic() >= deadline:
                raise EngineUnusable(self._trouble())
            news = self._news
            try:
                async with asyncio.timeout(min(_LOOK_SECONDS, self._patience_seconds)):
                    await news.wait()
            except TimeoutError:
                # A server that is behind counts no more after a while, without news.
                self._tell()

    def _trouble(self) -> str:
        for link in self._links:
            if link.fault:
                return link.fault
            if self._foreign(link):
                return (
                    f"{link.url} serves other weights under the number {link.version}: it "
                    "follows another run; start it with the folder of this one"
                )
        behind = [f"{link.url} serves version {link.version}" for link in self._links]
        if any(link.version >= 0 for link in self._links):
            return (
                f"no server came to the version in force in {self._patience_seconds:.0f} s "
                f"({', '.join(behind)}): look at what `evolvent serve` says"
            )
        urls = ", ".join(link.url for link in self._links)
        return (
            f"no server at {urls} serves a version after {self._patience_seconds:.0f} s: start one "
            "with `evolvent serve RUN`, or look at what it says"
        )

    async def _fetch(self, files: dict[str, str]) -> Prompting:
        """How to prompt what is served, from files that are byte for byte the published ones."""
        while True:
            link = await self._found(lambda: self._best(0))
            try:
                texts = await link.prompting()
            except Lost:
                await asyncio.sleep(_AGAIN_SECONDS)
                continue
            for name in PROMPTING:
                text = texts.get(name)
                digest = text if text is None else hashlib.sha256(text.encode()).hexdigest()
                if digest != (files[name].lower() if name in files else None):
                    raise EngineUnusable(f"{link.url} serves another {name} than the run's")
            return read_prompting(texts)


def _report(before: int, after: int, waited_ms: float, links: Sequence[Link]) -> Swap:
    """What the slowest server said of its swap; `load_ms` is how long it took to be told."""
    swaps = [link.swap for link in links if link.swap is not None]
    return Swap(
        from_version=before,
        to_version=after,
        load_ms=waited_ms,
        pause_ms=max((swap.pause_ms for swap in swaps), default=0.0),
        in_flight=sum(link.in_flight for link in links),
    )
