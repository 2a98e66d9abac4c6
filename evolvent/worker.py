"""One process of a run: some services on one event loop, one compute thread. `python -m
evolvent.worker RUN NAME…` is started by the supervisor and ends when its standard input does.

    bus -> Runner(role) -> bus        Policies: follower -> engine <- the roles that generate
"""

import asyncio
import logging
import sys
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from bus.errors import Fenced, first_of
from evolvent.errors import certain
from evolvent.process import (
    Expired,
    Stopped,
    exit_code,
    log_to_stderr,
    unless,
    until_input_ends,
)
from evolvent.reserve import Reserve
from evolvent.roles import Opened, Row, services
from evolvent.run.folder import RunFolder
from evolvent.run.log import reached
from evolvent.voice import JsonVoice, SayingHandler, Voice
from evolvent.watching.observed import observed
from evolvent.workplace import Workplace
from trainer.checkpoint.recovery import highest_epoch

# As the main module it would have a name that no setting of ours reaches.
_log = logging.getLogger("evolvent.worker")


AGENTS = "agents"
"""What several roles in one process are called where it is watched."""


class Worker:
    """Serves at a workplace. `member` names the process in the groups of its services; without it,
    it has the group's name."""

    def __init__(self, place: Workplace, *, member: str = "") -> None:
        self._place = place
        self._bus = place.bus
        self._member = member
        self._reserve = Reserve(place.path, place.recipe.disk)

    async def run(self, names: Sequence[str], stop: asyncio.Event) -> None:
        """Serve until `stop`, or until the operator has stopped all of `names`; whatever a service
        raises ends the process."""
        # What takes seconds to load comes before work is taken over; whoever was told to stop
        # meanwhile, or lost its supervisor, takes nothing from its successor.
        try:
            opened = await unless(stop, asyncio.to_thread(self._open, names))
        except Stopped:
            return
        if stop.is_set():
            return
        _log.info("serving %s", ", ".join(names))
        operator = self._place.operator
        with suppress(Stopped):
            heads = await unless(stop, asyncio.to_thread(self._bus.log.heads))
            if self._place.generates and not heads["weights", 0]:
                _log.info("waiting for version 0")
        follow = operator.follow(self._bus.follow("control", start=operator.position))
        try:
            async with asyncio.TaskGroup() as group:
                watch = self._reserve.watch()
                together = (self._place.policies.run(), follow, watch)
                beside = [group.create_task(one) for one in together]
                serving = [group.create_task(self._serve(*each, stop, group)) for each in opened]
                await asyncio.gather(*serving)
                for task in beside:
                    task.cancel()
        except BaseExceptionGroup as errors:
            raise first_of(errors) from None
        await self._place.close()
        _log.info("stopped")

    def _open(self, names: Sequence[str]) -> list[tuple[Row, Opened]]:
        self._place.operator.read(self._bus.log)
        rows = services(self._place.recipe)
        opened = []
        for name in names:
            self._place.voice.say(f"loading what the {name} needs")
            with certain(f"the {name} cannot work"):
                opened.append((rows[name], rows[name].open(self._place)))
        return opened

    async def _serve(
        self, row: Row, opened: Opened, stop: asyncio.Event, group: asyncio.TaskGroup
    ) -> None:
        switch = self._place.operator.switch(row.name)
        if switch.is_off:
            return
        self._reserve.guard(row.name, switch)
        ending = asyncio.Event()
        watching = [
            group.create_task(_set_after(told, ending)) for told in (stop.wait(), switch.off())
        ]
        # Whoever starts again under its name takes over at once, without waiting for a lease.
        member = self._member or row.name
        above = highest_epoch(self._place.path) if row.leads else 0
        joining = asyncio.to_thread(
            self._bus.subscribe,
            row.topics,
            row.name,
            member,
            exclusive=row.exclusive,
            above=above,
        )
        try:
            async with await unless(stop, joining) as subscription:
                with certain(f"the {row.name} cannot work"):
                    service = opened(subscription, switch)
                await service.run(ending)
        except Stopped:
            return
        except Fenced as error:
            # Whoever was only silent for too long joins again; a successor is left alone.
            members = await asyncio.to_thread(self._bus.log.members, row.name)
            if row.exclusive or member in members:
                raise
            raise Expired(str(error)) from None
        except Exception:
            self._place.voice.blame(row.name)
            raise
        finally:
            for task in watching:
                task.cancel()


async def _set_after(told: Coroutine[Any, Any, Any], ending: asyncio.Event) -> None:
    await told
    ending.set()


async def serve(path: Path, names: list[str], voice: Voice) -> None:
    folder = RunFolder(path)
    recipe, run_id = folder.recipe(), folder.run_id
    async with until_input_ends() as stop:
        bus = await reached(lambda: folder.build_log(recipe.bus, writable=True), stop)
        if bus is not None:
            hands = folder.hands("+".join(names), recipe)
            try:
                log = folder.whole(bus.log)
                place = Workplace(path, run_id, recipe, bus, voice, hands=hands, log=log)
                with observed(run_id, names[0] if len(names) == 1 else AGENTS):
                    await Worker(place).run(names, stop)
            finally:
                hands.close()
                await bus.close()


def main() -> int:
    """A process of `evolvent run`."""
    voice = JsonVoice()
    voice.say("opening the log")
    log_to_stderr(SayingHandler(voice))
    return exit_code(serve(Path(sys.argv[1]), sys.argv[2:], voice), voice)


if __name__ == "__main__":
    sys.exit(main())
