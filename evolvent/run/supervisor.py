"""Keeps the processes of a run alive: starts them, starts them again with back-off, stops them, and
gives up where that helps nobody. Knows no role and no log; `position` tells whether the run moves.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from evolvent.errors import UsageError
from evolvent.run.child import Child
from evolvent.run.deaths import Deaths

MAX_CRASHES = 8
_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 5.0


class CannotGoOn(Exception):
    """A process dies of the same reason whenever it is started: the reason, in a sentence."""


class Supervisor:
    """Runs one `evolvent.worker` per group of roles, each with one compute thread.

    A process that ends with code 2 has said a sentence that only a person can act on: it becomes
    a `UsageError`. Deaths that come again become `CannotGoOn`; so do `MAX_CRASHES` ends in a row
    during which nothing reached the log.
    """

    def __init__(
        self,
        run: Path,
        groups: tuple[tuple[str, ...], ...],
        position: Callable[[], int],
        deaths: Deaths,
        swapped: Callable[[str, int, float], None] = lambda policy, version, pause: None,
    ) -> None:
        self._run = run
        self._position = position
        self._deaths = deaths
        self.children = [
            Child(roles=roles, log=run / "logs" / f"{'-'.join(roles)}.log", swapped=swapped)
            for roles in groups
        ]

    async def run(self) -> None:
        """Keep everything alive until every child was told to stop. Raises `UsageError` and
        `CannotGoOn`."""
        try:
            async with asyncio.TaskGroup() as group:
                for child in self.children:
                    self._deaths.begin(child.roles)
                    group.create_task(self._keep(child))
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        finally:
            for child in self.children:
                if child.process is not None and child.pid is not None:
                    child.process.kill()
                    await child.process.wait()

    def stop(self, role: str | None = None) -> None:
        """Tell the process of `role`, or all, to finish what is in flight and end."""
        for child in self.children:
            if role is None or role in child.roles:
                child.stop()

    def kill(self) -> None:
        """End all of them now."""
        for child in self.children:
            child.kill()

    async def _keep(self, child: Child) -> None:
        fruitless = 0
        while not child.stopped.is_set():
            before = self._position()
            ended = await child.live(self._run)
            if ended.code == 2:
                raise UsageError(self._with_cause(child, ended.sentence))
            if ended.code == 0 or ended.asked:
                # Without our word it ends so only when the operator has stopped all of its roles.
                return
            moved = self._position() != before
            fruitless = 1 if moved else fruitless + 1
            self._deaths.add(child.roles, ended.role, ended.reason, own=ended.own)
            if child.stopped.is_set():
                return
            if series := self._deaths.hopeless(child.roles):
                first = next(iter(self._deaths.looping()), series)
                raise CannotGoOn(f"{first}; see {self._deaths.logs}")
            if fruitless >= MAX_CRASHES:
                raise CannotGoOn(
                    f"the {child.name} process ended {fruitless} times in a row without a step "
                    f"forward: {ended.reason}; see {child.log}"
                )
            await _pause(child, fruitless)
            child.restarts += 1

    def _with_cause(self, child: Child, sentence: str) -> str:
        """What a process said, after what happened to another one before."""
        others = [one for one in self._deaths.looping() if not one.roles & {*child.roles}]
        if not others:
            return sentence
        return f"{others[0]}; then the {child.name} process gave up: {sentence}"


async def _pause(child: Child, number: int) -> None:
    """Longer each time, and no longer than it may run."""
    pause = min(_FIRST_PAUSE_SECONDS * 2 ** min(number - 1, 10), _LONGEST_PAUSE_SECONDS)
    with suppress(TimeoutError):
        await asyncio.wait_for(child.stopped.wait(), pause)
