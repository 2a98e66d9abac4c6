"""Keeps the processes of a run alive: starts, listens, restarts with back-off, stops.
Knows no role and no log; `position` tells it whether the run still moves.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evolvent.errors import UsageError
from evolvent.process import ONE_THREAD

MAX_CRASHES = 8
_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 5.0
_STOP_SECONDS = 30.0


@dataclass(slots=True, kw_only=True)
class Child:
    """One process: its roles, what it said last, how often it was started again."""

    roles: tuple[str, ...]
    log: Path
    process: asyncio.subprocess.Process | None = None
    restarts: int = 0
    said: dict[str, Any] = field(default_factory=dict)
    swap: dict[str, Any] = field(default_factory=dict)
    stopping: bool = False

    @property
    def name(self) -> str:
        return "+".join(self.roles) if len(self.roles) < 3 else f"agents ({len(self.roles)} roles)"

    @property
    def pid(self) -> int | None:
        running = self.process is not None and self.process.returncode is None
        return self.process.pid if running and self.process else None


class Supervisor:
    """Runs one `evolvent.worker` per group of roles, each with one compute thread.

    A process that ends with code 2 has said a sentence that only a person can act on: it becomes
    a `UsageError`. So do `MAX_CRASHES` ends in a row during which nothing reached the log.
    """

    def __init__(
        self, run: Path, groups: tuple[tuple[str, ...], ...], position: Callable[[], int]
    ) -> None:
        self._run = run
        self._position = position
        self.children = [
            Child(roles=roles, log=run / "logs" / f"{'-'.join(roles)}.log") for roles in groups
        ]

    async def run(self) -> None:
        """Keep everything alive until every child was told to stop. Raises `UsageError`."""
        try:
            async with asyncio.TaskGroup() as group:
                for child in self.children:
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
                child.stopping = True
                if child.process is not None and child.process.stdin is not None:
                    child.process.stdin.close()

    async def _keep(self, child: Child) -> None:
        crashes = 0
        while not child.stopping:
            before = self._position()
            code = await self._live(child)
            if code == 2:
                raise UsageError(child.said.get("failed", f"the {child.name} process gave up"))
            if child.stopping or code == 0:
                # Without our word it ends so only when the operator has stopped all of its roles.
                return
            crashes = crashes + 1 if self._position() == before else 1
            if crashes >= MAX_CRASHES:
                raise UsageError(
                    f"the {child.name} process ended {crashes} times in a row without a step "
                    f"forward ({_how(code)}); see {child.log}: {last_line(child.log)}"
                )
            pause = _FIRST_PAUSE_SECONDS * 2 ** min(crashes - 1, 10)
            await asyncio.sleep(min(pause, _LONGEST_PAUSE_SECONDS))
            child.restarts += 1

    async def _live(self, child: Child) -> int:
        """One life of a child, from start to end; its exit code."""
        environment = {**os.environ, **ONE_THREAD}
        with child.log.open("ab") as log:
            child.process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "evolvent.worker",
                str(self._run),
                *child.roles,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=environment,
                # Ctrl-C is for the supervisor alone; it stops its children in order.
                start_new_session=True,
            )
        if child.stopping and child.process.stdin is not None:
            child.process.stdin.close()
        listening = asyncio.ensure_future(_listen(child))
        try:
            while not child.stopping and child.process.returncode is None:
                await asyncio.wait({listening}, timeout=0.2)
                if listening.done():
                    break
            async with asyncio.timeout(_STOP_SECONDS if child.stopping else None):
                await listening
                return await child.process.wait()
        except TimeoutError:
            child.process.kill()
            return await child.process.wait()
        finally:
            listening.cancel()


async def _listen(child: Child) -> None:
    assert child.process is not None and child.process.stdout is not None
    async for line in child.process.stdout:
        try:
            message = json.loads(line)
        except ValueError:
            continue
        if "swap" in message:
            # Of several policies, the one that is furthest speaks for the process.
            if message["swap"]["to_version"] >= child.swap.get("to_version", -1):
                child.swap = message["swap"]
        else:
            child.said = message


def _how(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def last_line(log: Path) -> str:
    """The last thing a process wrote before it ended."""
    with log.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - 4096))
        lines = file.read().decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else "it wrote nothing"
