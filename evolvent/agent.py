"""One role of a run as a process of its own, anywhere: joins the run on its log, shares the work of
the role, and hands it over when it is stopped. Whoever started it starts it again.
"""

import asyncio
import logging
import os
import re
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bus.bus import Bus
from bus.events import Weights
from evolvent.errors import UsageError
from evolvent.process import exit_code, log_to_stderr
from evolvent.recipe.recipe import ROLES, Recipe
from evolvent.run.folder import RunFolder
from evolvent.run.log import joined, prepare, reached, started
from evolvent.voice import LogVoice
from evolvent.worker import Worker

_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 10.0

_log = logging.getLogger(__name__)


def run_agent(role: str, folder: RunFolder, recipe: Recipe | None, name: str | None) -> int:
    """Serve `role` until SIGTERM or Ctrl-C; the exit code. Raises `UsageError` before that."""
    if role not in ROLES:
        raise UsageError(f"there is no role {role}: there are {', '.join(ROLES)}")
    name = name or f"{role}-{_host()}-{os.getpid()}"
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,100}", name):
        raise UsageError(f"--name {name}: up to 100 letters, digits, '.', '_' and '-'")
    wanted = prepare(folder, recipe)
    if not folder.exists:
        folder.check_free()
    # Processes side by side share the cores better with one thread each.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    log_to_stderr()
    return exit_code(_serve(role, folder, wanted, name), LogVoice())


async def _serve(role: str, folder: RunFolder, recipe: Recipe, name: str) -> None:
    with _until_told() as stop:
        _log.info("%s %s of %s", role, name, recipe.bus.place(folder.path))
        bus = await reached(lambda: folder.build_log(recipe.bus, writable=True), stop)
        if bus is None:
            return
        try:
            await asyncio.to_thread(joined, folder, recipe, bus)
            if role == "trainer":
                await bus.publish([started(folder, recipe, _starts(bus))])
            worker = Worker(
                folder,
                bus,
                LogVoice(),
                member=name,
                arrived=lambda weights: files_arrived(folder.path, weights),
            )
            await worker.run([role], stop)
        finally:
            await bus.close()


async def files_arrived(run: Path, weights: Weights) -> None:
    """Wait until the files of a version are in the run's folder: a volume that machines share may
    show them later than the log names them."""
    pause = _FIRST_PAUSE_SECONDS
    paths = [run / weights.location / name for name in weights.files]
    while missing := await asyncio.to_thread(lambda: [one for one in paths if not one.is_file()]):
        _log.warning(
            "waiting for %s of version %d: the folder of the run must be the one that the trainer "
            "writes to",
            missing[0],
            weights.number,
        )
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)


def _starts(bus: Bus) -> int:
    return bus.heads()["control", 0]


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname())[:60]


@contextmanager
def _until_told() -> Iterator[asyncio.Event]:
    """An event that the first SIGTERM or Ctrl-C sets; a second one is the shell's own."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    signals = (signal.SIGINT, signal.SIGTERM)

    def told() -> None:
        _log.info("stopping")
        stop.set()
        for number in signals:
            loop.remove_signal_handler(number)

    for number in signals:
        loop.add_signal_handler(number, told)
    try:
        yield stop
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
