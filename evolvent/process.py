"""How a process writes its log, is told to stop, waits, and how it ends, so that whoever watches it
knows what to do. Knows no role.
"""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from agents.engines.engine import EngineUnusable, SwapRefused
from bus.errors import BusError, Fenced, Unreachable, first_of
from evolvent.errors import UsageError, disk_sentence, reason
from evolvent.voice import Voice
from evolvent.watching.lines import formatter
from trainer.checkpoint.manifest import DamagedCheckpoint

_OURS = ("evolvent", "trainer", "agents", "bus", "observability")

ONE_THREAD = {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
"""The environment of processes side by side: they share the cores better with one thread each."""

_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 10.0

_MOMENT_SECONDS = 2.0
"""What is nearly there when the process is told to stop is still waited for."""

_log = logging.getLogger(__name__)

Result = TypeVar("Result")


class Stopped(Exception):
    """This process was told to stop while it waited for something else."""


class Expired(Exception):
    """This process was silent for so long that others have its work: it must start again."""


def log_to_stderr(*others: logging.Handler) -> None:
    """What this process and its bus do, with the time; warnings of everything else."""
    writing = logging.StreamHandler()
    writing.setFormatter(formatter(sys.stderr))
    logging.basicConfig(handlers=[writing])
    for name in _OURS:
        logging.getLogger(name).setLevel(logging.INFO)
        for handler in others:
            logging.getLogger(name).addHandler(handler)


def log_to_file(path: Path) -> None:
    """The same for a process whose terminal shows other things."""
    handler = logging.FileHandler(path, encoding="utf-8", delay=True)
    handler.setFormatter(formatter())
    for name in _OURS:
        logging.getLogger(name).setLevel(logging.INFO)
        logging.getLogger(name).addHandler(handler)
        logging.getLogger(name).propagate = False


def pauses() -> Iterator[float]:
    """How long to wait before each next try, in seconds: longer and longer, never very long."""
    pause = _FIRST_PAUSE_SECONDS
    while True:
        yield pause
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)


async def unless(stop: asyncio.Event, work: Coroutine[Any, Any, Result]) -> Result:
    """What `work` comes to. Raises `Stopped` when told to stop before that: `work` is cancelled,
    and a thread that it waits for left alone until what that waits for is closed."""
    working = asyncio.ensure_future(work)
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait({working}, timeout=_MOMENT_SECONDS)
        if not working.done():
            raise Stopped
        return working.result()
    finally:
        stopping.cancel()
        working.cancel()


@contextmanager
def until_told(
    stop: asyncio.Event, on_told: Callable[[], None] = lambda: None
) -> Iterator[asyncio.Event]:
    """The first SIGTERM or Ctrl-C sets `stop`; a second one is the shell's own."""
    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)

    def told() -> None:
        for number in signals:
            loop.remove_signal_handler(number)
        on_told()
        stop.set()

    for number in signals:
        loop.add_signal_handler(number, told)
    try:
        yield stop
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


@asynccontextmanager
async def until_input_ends() -> AsyncIterator[asyncio.Event]:
    """An event that is set when standard input ends: the supervisor said stop, or is gone."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def ended() -> None:
        if not os.read(sys.stdin.fileno(), 4096):
            loop.remove_reader(sys.stdin.fileno())
            stop.set()

    loop.add_reader(sys.stdin.fileno(), ended)
    yield stop
    loop.remove_reader(sys.stdin.fileno())


def exit_code(serving: Coroutine[Any, Any, None], voice: Voice) -> int:
    """0 when stopped, 2 with a sentence when a restart would not help, 1 when one does. Anything
    else is a crash: its traceback goes to the log, whoever watches starts it again."""
    try:
        asyncio.run(serving)
    except Exception as error:
        return _last_words(error, voice)
    return 0


def _last_words(error: Exception, voice: Voice) -> int:
    cause = first_of(error)
    if isinstance(cause, Expired | Unreachable):
        voice.again(str(cause))
        return 1
    if sentence := _sentence(cause):
        if cause.__cause__ is not None:
            _log.error("this was the cause", exc_info=cause.__cause__)
        voice.failed(sentence)
        return 2
    _log.error("this was unforeseen", exc_info=cause)
    voice.died(reason(cause))
    return 1


def _sentence(error: BaseException) -> str | None:
    """What a person can do about it; None for a crash that a restart may mend."""
    if isinstance(error, Fenced):
        return "another process has taken over: a run has one trainer, and one process of each name"
    if isinstance(error, UsageError | BusError | DamagedCheckpoint | EngineUnusable | SwapRefused):
        return str(error)
    return disk_sentence(error)
