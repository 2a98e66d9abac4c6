"""One role of a run as a process of its own, anywhere: joins the run on its log, shares the work of
the role, and hands it over when it is stopped. Whoever started it starts it again.
"""

import asyncio
import logging
import os
import re
import socket
from pathlib import Path

from bus.errors import BusError
from bus.events import Weights
from bus.log import Log
from evolvent.errors import UsageError
from evolvent.preflight.preflight import check
from evolvent.process import (
    ONE_THREAD,
    Stopped,
    exit_code,
    log_to_stderr,
    pauses,
    unless,
    until_told,
)
from evolvent.recipe.recipe import Recipe
from evolvent.roles import services
from evolvent.run.folder import RunFolder
from evolvent.run.log import joined, prepare, reached, started
from evolvent.run.watch import Watch
from evolvent.voice import LogVoice
from evolvent.watching.observed import observed
from evolvent.watching.outlets import Outlets
from evolvent.watching.outlets import check as check_outlets
from evolvent.worker import Worker
from evolvent.workplace import Workplace
from observability.metrics.meter import Meter
from observability.metrics.points import point
from observability.metrics.served import Served
from observability.progress.disk import DiskWatch

_LOOK_SECONDS = 2.0

_log = logging.getLogger(__name__)


def run_agent(
    role: str,
    folder: RunFolder,
    recipe: Recipe | None,
    name: str | None,
    meter: Meter,
    *,
    begins: bool,
) -> int:
    """Serve `role` until SIGTERM, Ctrl-C or the operator's stop; the exit code. Whoever `begins`
    may be the first of a new run, anyone else joins one. Raises `UsageError` before that."""
    wanted = prepare(folder, recipe)
    if role not in (known := services(wanted)):
        raise UsageError(f"there is no role {role}: there are {', '.join(known)}")
    check_outlets(wanted)
    name = name or f"{role}-{_host()}-{os.getpid()}"
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,100}", name):
        raise UsageError(f"--name {name}: up to 100 letters, digits, '.', '_' and '-'")
    if not folder.has_learned:
        check(folder.path, wanted, roles=[role])
    if not folder.exists:
        if not begins:
            raise UsageError(
                f"{folder.path} is not a run: name the folder of one with --dir, or the recipe of "
                "the run with --config"
            )
        folder.check_free()
    for variable, value in ONE_THREAD.items():
        os.environ.setdefault(variable, value)
    log_to_stderr()
    served = Served()
    meter.beside.append(served.points)
    meter.beside.append(lambda: [point("evolvent.process.up", 1, agent=name)])
    voice = LogVoice(served.swapped)
    return exit_code(_serve(role, folder, wanted, name, voice, meter), voice)


async def _serve(
    role: str, folder: RunFolder, recipe: Recipe, name: str, voice: LogVoice, meter: Meter
) -> None:
    with until_told(asyncio.Event(), lambda: _log.info("stopping")) as stop:
        _log.info("%s %s of %s", role, name, recipe.bus.place(folder.path))
        bus = await reached(lambda: folder.build_log(recipe.bus, writable=True), stop)
        if bus is None:
            return
        try:
            await unless(stop, asyncio.to_thread(joined, folder, recipe, bus.log))
            told = (await unless(stop, asyncio.to_thread(bus.log.heads)))["control", 0]
            meter.run = folder.run_id
            leads = services(recipe)[role].leads
            if leads:
                await unless(stop, bus.publish([started(folder, recipe, told)]))
            hands = folder.hands(f"agent {role} {_host()}", folder.recipe())
            place = Workplace(
                folder.path,
                folder.run_id,
                folder.recipe(),
                bus,
                voice,
                arrived=lambda weights: files_arrived(folder.path, weights),
                since=told,
                hands=hands,
                log=folder.whole(bus.log),
            )
            try:
                with observed(folder.run_id, role):
                    outlets = Outlets(folder.recipe(), folder.path, folder.run_id, meter)
                    watching = asyncio.ensure_future(_watch(folder, place.parts.log, outlets))
                    if not (leads and outlets.wanted):
                        watching.cancel()
                    try:
                        await Worker(place, member=name).run([role], stop)
                    finally:
                        watching.cancel()
                        await asyncio.wait({watching})
            finally:
                hands.close()
        except Stopped:
            return
        finally:
            await bus.close()


async def _watch(folder: RunFolder, log: Log, outlets: Outlets) -> None:
    """Whoever leads a run tells of it, for ever; a log that does not answer is asked again."""
    recipe = folder.recipe()
    reserve = recipe.disk.reserve(folder.path)
    watch = Watch(log, tuple(services(recipe)), DiskWatch(folder.path, reserve), outlets)
    disk = asyncio.ensure_future(watch.watch_disk())
    try:
        await watch.look()
        outlets.notifier.begin()
        while True:
            await watch.look()
            outlets.notifier.see(watch.position(), 0)
            await asyncio.sleep(_LOOK_SECONDS)
    except BusError as error:
        _log.warning("the run's numbers stay as they are: %s", error)
    finally:
        disk.cancel()
        await asyncio.shield(asyncio.to_thread(outlets.end))


async def files_arrived(run: Path, weights: Weights) -> None:
    """Wait until the files of a version are in the run's folder: a volume that machines share may
    show them later than the log names them."""
    waits = pauses()
    paths = [run / weights.location / name for name in weights.files]
    while missing := await asyncio.to_thread(lambda: [one for one in paths if not one.is_file()]):
        _log.warning(
            "waiting for %s of version %d: the folder of the run must be the one that the trainer "
            "writes to",
            missing[0],
            weights.number,
        )
        await asyncio.sleep(next(waits))


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname())[:60]
