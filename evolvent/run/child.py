"""One process of a run, from its start to its end: what it says, what it dies of. Knows no role."""

import asyncio
import json
import os
import re
import shutil
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evolvent.process import ONE_THREAD

_LONGEST_LINE = 16 * 2**20
_STOP_SECONDS = 45.0
"""More than a role has to end what is in hand, so that it hands back what it cannot."""

_TAIL_BYTES = 16_384
LONGEST_LOG_BYTES = 64 << 20
_FATAL = (signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT)
"""What a process does to itself; any other signal comes from outside."""

_ERROR = re.compile(r"^(?:[\w.]+\.)?\w*(?:Error|Exception|Interrupt|Exit|Fault)\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a life ended. `sentence` is what a person can do about it, `reason` what it died of in
    the service `role`, "" where nobody knows; `own` as in `Death`, `asked` that we ended it."""

    code: int
    sentence: str = ""
    reason: str = ""
    role: str = ""
    own: bool = False
    asked: bool = False


@dataclass(slots=True, kw_only=True)
class Child:
    """One process: its roles, what it said last, how often it was started again. `swapped` hears
    of every swap: the policy, the version, for how many seconds generation stood still."""

    roles: tuple[str, ...]
    log: Path
    process: asyncio.subprocess.Process | None = None
    restarts: int = 0
    said: dict[str, Any] = field(default_factory=dict)
    swap: dict[str, Any] = field(default_factory=dict)
    progress: dict[str, Any] = field(default_factory=dict)
    last_words: dict[str, Any] = field(default_factory=dict)
    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    killed: bool = False
    swapped: Callable[[str, int, float], None] = lambda policy, version, pause: None

    @property
    def name(self) -> str:
        return "+".join(self.roles) if len(self.roles) < 3 else f"agents ({len(self.roles)} roles)"

    @property
    def pid(self) -> int | None:
        running = self.process is not None and self.process.returncode is None
        return self.process.pid if running and self.process else None

    @property
    def doing(self) -> str:
        """What it is at, in its own words."""
        if not self.said:
            return "loading Python" if self.pid else ""
        if "phase" in self.said:
            return f"{self.said['phase']} {self.said['done']}/{self.said['total']}"
        return str(self.said.get("say", ""))

    def stop(self) -> None:
        """Tell it to finish what is in flight and end."""
        self.stopped.set()
        if self.process is not None and self.process.stdin is not None:
            self.process.stdin.close()

    def kill(self) -> None:
        """End it now: nothing that it has committed is lost."""
        self.stopped.set()
        self.killed = True
        if self.process is not None and self.pid is not None:
            self.process.kill()

    async def live(self, run: Path) -> Ending:
        """One life, from start to end."""
        self.said, self.progress, self.last_words = {}, {}, {}
        with self.log.open("ab") as log:
            process = self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "evolvent.worker",
                str(run),
                *self.roles,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                limit=_LONGEST_LINE,
                env={**os.environ, **ONE_THREAD},
                # Ctrl-C is for the supervisor alone; it stops its children in order.
                start_new_session=True,
            )
        if self.killed:
            process.kill()
        elif self.stopped.is_set() and process.stdin is not None:
            process.stdin.close()
        listening = asyncio.ensure_future(self._listen(process))
        stopped = asyncio.ensure_future(self.stopped.wait())
        try:
            await asyncio.wait({listening, stopped}, return_when=asyncio.FIRST_COMPLETED)
            async with asyncio.timeout(_STOP_SECONDS if stopped.done() else None):
                await listening
                code = await process.wait()
        except TimeoutError:
            self.killed = True
            process.kill()
            code = await process.wait()
        finally:
            listening.cancel()
            stopped.cancel()
        return self._ending(code)

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            bound(self.log)
            try:
                message = json.loads(line)
            except ValueError:
                continue
            if "swap" in message:
                said = message["swap"]
                self.swapped(said["policy"], said["to_version"], said["pause_ms"] / 1e3)
                # Of several policies, the one that is furthest speaks for the process.
                if message["swap"]["to_version"] >= self.swap.get("to_version", -1):
                    self.swap = message["swap"]
            elif message.keys() & {"failed", "again", "died"}:
                # The first cause counts, not what follows from it.
                self.last_words = self.last_words or message
            else:
                self.said = message
                self.progress = message if "phase" in message else self.progress

    def _ending(self, code: int) -> Ending:
        words = self.last_words
        if code == 2:
            said = words.get("failed", f"the {self.name} process gave up: see {self.log}")
            return Ending(code=code, sentence=said)
        if code < 0:
            by = signal.Signals(-code)
            asked = self.killed and by is signal.SIGKILL
            reason = f"killed by {by.name}"
            return Ending(code=code, reason=reason, own=by in _FATAL, asked=asked)
        if "again" in words:
            return Ending(code=code, reason=words["again"])
        if "died" in words:
            return Ending(code=code, reason=words["died"], role=words.get("role", ""), own=True)
        return Ending(code=code, reason=f"exit code {code}, {last_error(self.log)}", own=code != 0)


def bound(log: Path) -> None:
    """A log that has grown long goes aside, over the one that went before, and begins again. Who
    writes it appends; what it says in between is lost."""
    with suppress(OSError):
        if log.stat().st_size > LONGEST_LOG_BYTES:
            shutil.copyfile(log, log.with_suffix(".before.log"))
            os.truncate(log, 0)


def last_error(log: Path) -> str:
    """What a process that could not speak any more wrote last: its error, in one line."""
    with log.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - _TAIL_BYTES))
        lines = file.read().decode("utf-8", "replace").strip().splitlines()
    lines = [_said(line) for line in lines]
    found = [number for number, line in enumerate(lines) if _ERROR.match(line)]
    return " ".join(" ".join(lines[found[-1] if found else -1 :]).split())[:500] or "no word"


def _said(line: str) -> str:
    """What a line says, where it is a line of a log for programs."""
    with suppress(ValueError, KeyError, TypeError):
        return str(json.loads(line)["said"])
    return line
