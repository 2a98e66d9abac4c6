"""What log and disk say now, asked again and again beside everything else. While the broker is
away, screen and Ctrl-C go on. Knows no process.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import suppress
from threading import Lock

from bus.errors import Unreachable
from bus.log import Log
from evolvent.watching.outlets import Outlets
from observability.metrics.points import Point, point
from observability.progress.disk import Disk, DiskWatch
from observability.progress.progress import Progress
from observability.terminal.activity import Activity
from observability.terminal.live import LiveView

_ANSWER_SECONDS = 2.0


class Watch:
    """`progress` is what is known of a run, `heads` where its log ends, `answers` whether the log
    did when it was asked last, `disk` what is known of it; all is told to the `outlets`."""

    def __init__(
        self, log: Log, services: Sequence[str], disk: DiskWatch, outlets: Outlets
    ) -> None:
        self.outlets = outlets
        outlets.meter.beside.append(self._up)
        self.progress = Progress(log, services, outlets.hear)
        outlets.about(self.progress)
        self.heads: dict[tuple[str, int], int] = {}
        self.answers = True
        self.disk: Disk | None = None
        self._disk = disk
        self._log = log
        self._reading = Lock()
        self._asking: asyncio.Task[dict[tuple[str, int], int]] | None = None

    async def begin(self) -> None:
        """The first look."""
        self.heads = await asyncio.to_thread(self._look)

    async def look(self) -> None:
        """Ask, and wait for the answer no longer than people do."""
        if self._asking is None:
            self._asking = asyncio.create_task(asyncio.to_thread(self._look))
        await asyncio.wait({self._asking}, timeout=_ANSWER_SECONDS)
        self.answers = False
        if self._asking.done():
            asked, self._asking = self._asking, None
            with suppress(Unreachable):
                self.heads = asked.result()
                self.answers = True

    async def watch_disk(self) -> None:
        """For ever, from time to time."""
        while True:
            with suppress(OSError):
                self.disk = await asyncio.to_thread(self._disk.look)
                self.outlets.meter.see(self.disk)
            await asyncio.sleep(self._disk.pause_seconds)

    @property
    def waits_for_room(self) -> bool:
        return self.disk is not None and self.disk.is_low

    def show(self, view: LiveView, activity: Activity) -> None:
        """What is being read just now cannot be shown."""
        if self._reading.acquire(blocking=False):
            view.show(activity)
            self._reading.release()

    def close(self) -> None:
        if self._asking is not None:
            self._asking.cancel()

    def position(self) -> int:
        """How long the log is."""
        return sum(self.heads.values())

    def answered(self, role: str) -> int:
        """How many records a role has answered."""
        return self.progress.answered.get(role, 0)

    def _look(self) -> dict[tuple[str, int], int]:
        """Ask first: what does not answer keeps nobody from looking at what is known."""
        heads = self._log.heads()
        with self._reading:
            self.progress.refresh()
            self.outlets.meter.look(self._log, self.progress)
        return heads

    def _up(self) -> Iterator[Point]:
        yield point("evolvent.log.up", int(self.answers))
