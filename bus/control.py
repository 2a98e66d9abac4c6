"""What the operator and guards have said to the roles: a fold of `control`. Knows roles by name.

A role is paused until it is resumed, whatever starts and ends meanwhile; it is stopped until the
run starts again or it is resumed. The last word counts; `ALL` speaks to every role.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from bus.errors import Unreadable
from bus.events import Control
from bus.log import Log
from bus.records import Record

ALL = "all"


@dataclass(slots=True)
class Told:
    """Of whom something holds: of `everybody`, or not, but for the `others`."""

    everybody: bool = False
    others: set[str] = field(default_factory=set)

    def tell(self, role: str, holds: bool) -> None:
        if role == ALL:
            self.everybody = holds
            self.others.clear()
        elif holds == self.everybody:
            self.others.discard(role)
        else:
            self.others.add(role)

    def holds(self, role: str) -> bool:
        return self.everybody != (role in self.others)


class Controls:
    """The state of the roles after every `Control` that was `take`n, in the order of the log."""

    def __init__(self) -> None:
        self._paused, self._stopped = Told(), Told()
        self.objective: Control | None = None
        """The last that changed the source's settings."""
        self.warned: Control | None = None
        """The last word of a guard, which gave its reason, while it holds; one that changed the
        source's settings, only where none has paused or stopped."""

    def take(self, event: Control) -> None:
        self._warn(event)
        match event.command:
            case "start":
                self._stopped = Told()
            case "pause":
                self._paused.tell(event.role, True)
            case "resume":
                self._paused.tell(event.role, False)
                self._stopped.tell(event.role, False)
            case "stop":
                self._stopped.tell(event.role, True)
            case "objective":
                self.objective = event

    def _warn(self, event: Control) -> None:
        warned, redirects = self.warned, event.command == "objective"
        if any(event.finding) and not (redirects and warned and warned.command != "objective"):
            self.warned = event
        elif warned is None:
            return
        elif warned.command == "objective":
            self.warned = None if redirects else warned
        elif (event.command == "start" and warned.command == "stop") or (
            event.command == "resume" and event.role in (ALL, warned.role)
        ):
            self.warned = None

    def is_paused(self, role: str) -> bool:
        return self._paused.holds(role)

    def is_stopped(self, role: str) -> bool:
        return self._stopped.holds(role)


def objective_on(log: Log) -> dict[str, Any]:
    """The settings that the source was last told to ask by; none while it asks by the recipe."""
    controls = Controls()
    for record in log.read(Control.topic):
        with suppress(Unreadable):
            if isinstance(event := record.event(), Control):
                controls.take(event)
    return controls.objective.settings if controls.objective else {}


class Switch:
    """Whether one role may take what is new, and whether it is to end. It is open when the operator
    leaves it open and nothing on this machine holds it."""

    def __init__(self, is_open: bool = True) -> None:
        self._open, self._off = asyncio.Event(), asyncio.Event()
        self._is_held = False
        self.set(is_open=is_open, is_off=False)

    @property
    def is_open(self) -> bool:
        return self._open.is_set()

    async def opened(self) -> None:
        """Wait until the role may take."""
        await self._open.wait()

    @property
    def is_off(self) -> bool:
        return self._off.is_set()

    async def off(self) -> None:
        """Wait until the role is to end."""
        await self._off.wait()

    def set(self, *, is_open: bool, is_off: bool) -> None:
        """As the operator says."""
        self._is_left_open = is_open
        _move(self._open, is_open and not self._is_held)
        _move(self._off, is_off)

    def hold(self, is_held: bool) -> None:
        """Keep it closed, whatever the operator says, or no longer."""
        self._is_held = is_held
        _move(self._open, self._is_left_open and not is_held)


def _move(event: asyncio.Event, holds: bool) -> None:
    if holds:
        event.set()
    else:
        event.clear()


class Operator:
    """Follows the topic `control` and moves the switches of the roles.

    Stops that lie before offset `since` were for others: they do not count.
    """

    def __init__(self, since: int = 0) -> None:
        self.controls = Controls()
        self._since = since
        self._next = 0
        self._switches: dict[str, Switch] = {}

    def switch(self, role: str) -> Switch:
        """The switch of a role, as the operator has left it."""
        switch = self._switches.setdefault(role, Switch())
        self._move(role, switch)
        return switch

    def read(self, log: Log) -> None:
        """Take what is on the log now; before `follow`, and in a thread."""
        for record in log.read("control", start=self._next):
            self._take(record)

    async def follow(self, records: AsyncIterator[Record]) -> None:
        """For ever; `records` are those of the topic from `position` on."""
        async for record in records:
            if self._take(record):
                for role, switch in self._switches.items():
                    self._move(role, switch)

    @property
    def position(self) -> int:
        """The offset of the next record to take."""
        return self._next

    def _take(self, record: Record) -> bool:
        self._next = record.offset + 1
        try:
            event = record.event()
        except Unreadable:
            return False
        if not isinstance(event, Control):
            return False
        if event.command != "stop" or record.offset >= self._since:
            self.controls.take(event)
        return True

    def _move(self, role: str, switch: Switch) -> None:
        controls = self.controls
        switch.set(is_open=not controls.is_paused(role), is_off=controls.is_stopped(role))
