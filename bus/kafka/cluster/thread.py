"""A thread with an event loop of its own, in which all talk with the broker happens: a handler
that blocks its own loop delays no heartbeat. Knows no Kafka.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from bus.errors import BusError

Result = TypeVar("Result")

_log = logging.getLogger(__name__)


class Background:
    def __init__(self, name: str) -> None:
        self._started: Future[None] = Future()
        self._closed = False
        self._defect: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()
        self._started.result()

    def submit(self, work: Coroutine[Any, Any, Result]) -> "Future[Result]":
        """Start `work`; whoever waits for it may give up, it goes on."""
        future: Future[Result] = Future()
        if self._closed or self._defect is not None:
            work.close()
            raise BusError(
                "The bus is closed." if self._closed else f"The bus has failed: {self._defect!r}."
            )
        self._loop.call_soon_threadsafe(self.spawn, _fulfil(work, future))
        return future

    def call(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Wait for `work` without an event loop."""
        return self.submit(work).result()

    async def wait(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Wait for `work` in the caller's loop."""
        future = asyncio.wrap_future(self.submit(work))
        # Whoever gave up waiting does not want to hear how it ended.
        future.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(future)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start `work`, from inside the thread; a failure of it is the end of the bus."""
        return self._tasks.create_task(work)

    def soon(self, act: Callable[[], None]) -> None:
        """Let the thread do something small, without waiting for it."""
        if not self._closed and self._defect is None:
            self._loop.call_soon_threadsafe(act)

    def close(self) -> None:
        if not self._closed:
            if self._defect is None:
                self._loop.call_soon_threadsafe(self._stop.set)
            self._closed = True
        self._thread.join()

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseExceptionGroup as group:
            self._defect = group.exceptions[0]

    async def _main(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._loop.set_exception_handler(_note)
        async with asyncio.TaskGroup() as self._tasks:
            self._started.set_result(None)
            await self._stop.wait()
            for task in asyncio.all_tasks():
                if task is not asyncio.current_task():
                    task.cancel()


async def _fulfil(work: Coroutine[Any, Any, Result], future: "Future[Result]") -> None:
    try:
        result = await work
    except asyncio.CancelledError:
        if not future.done():
            future.set_exception(BusError("The bus is closed."))
        raise
    except BaseException as error:
        if not future.done():
            future.set_exception(error)
    else:
        if not future.done():
            future.set_result(result)


def _note(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What a client left behind when it was given up: whoever waited has been told already."""
    _log.debug("%s", context.get("message"), exc_info=context.get("exception"))


async def end(task: "asyncio.Task[Any] | None") -> None:
    """Cancel a task and wait until it has ended."""
    if task is not None:
        task.cancel()
        await asyncio.wait([task])
