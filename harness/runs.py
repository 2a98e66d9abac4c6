"""Runs as a user starts them: `evolvent` in a process of its own, a folder for each, and what
their logs say. Knows no bar.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import psutil

from bus.bus import Bus
from bus.errors import BusError
from bus.events import Evaluation, Event, Weights
from evolvent.errors import UsageError
from evolvent.run.folder import RunFolder

ROOT = Path(__file__).parents[1]
_WORKER = "evolvent.worker"
_POLL_SECONDS = 0.25


def say(text: str) -> None:
    """Progress, for whoever waits."""
    print(text, file=sys.stderr, flush=True)


def show(figures: Mapping[str, Any]) -> None:
    """A table for people; the last line is one JSON object for programs."""
    for name, value in figures.items():
        rows = value.items() if isinstance(value, dict) else [("", value)]
        for kind, number in rows:
            print(f"{f'{name} {kind}':40}{number!s:>10}")
    print(json.dumps(figures))


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "evolvent.cli", *arguments]


def launch(
    printed: Path, arguments: Sequence[str], environment: Mapping[str, str] | None
) -> psutil.Popen:
    """A program whose words go to the file `printed`."""
    printed.parent.mkdir(parents=True, exist_ok=True)
    with printed.open("ab") as output:
        return psutil.Popen(
            arguments,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
        )


def last_words(printed: Path) -> str:
    return printed.read_text(encoding="utf-8", errors="replace")[-2000:]


class Start:
    """One start of `evolvent run` on `folder`. What it prints goes to `<folder>.txt`."""

    def __init__(
        self, folder: Path, *arguments: str, environment: Mapping[str, str] | None = None
    ) -> None:
        self.folder = folder
        self.printed = folder.with_name(f"{folder.name}.txt")
        words = command("run", "--dir", str(folder), *arguments)
        self.process = launch(self.printed, words, environment)

    @property
    def code(self) -> int | None:
        """How it ended; None while it runs."""
        code: int | None = self.process.poll()
        return code

    def workers(self) -> dict[str, psutil.Process]:
        """Its live processes by their roles, joined with a space."""
        found = {}
        try:
            for process in self.process.children():
                line = process.cmdline()
                if _WORKER in line and process.status() != psutil.STATUS_ZOMBIE:
                    found[" ".join(line[line.index(_WORKER) + 2 :])] = process
        except psutil.Error:
            return found
        return found

    def interrupt(self, timeout_seconds: float = 120.0) -> int:
        """Stop it as Ctrl-C does and wait for its end; its exit code."""
        if self.code is None:
            self.process.send_signal(signal.SIGINT)
        return int(self.process.wait(timeout_seconds))

    def last_words(self) -> str:
        return last_words(self.printed)

    def end(self) -> None:
        """Leave no process behind, whatever happened."""
        for process in (self.process, *self.workers().values()):
            try:
                process.kill()
                process.wait(10)
            except psutil.Error:
                continue


class Agent:
    """One start of `evolvent agent`: a process of one role of the run in `folder`, beside those
    that `evolvent run` keeps. What it prints goes to `<folder>-<name>.txt`."""

    def __init__(
        self, folder: Path, role: str, name: str, environment: Mapping[str, str] | None = None
    ) -> None:
        self.role = role
        self.printed = folder.with_name(f"{folder.name}-{name}.txt")
        words = command("agent", role, "--dir", str(folder), "--name", name)
        self.process = launch(self.printed, words, environment)

    @property
    def code(self) -> int | None:
        """How it ended; None while it runs."""
        code: int | None = self.process.poll()
        return code

    def terminate(self, timeout_seconds: float = 120.0) -> int:
        """Stop it in order and wait for its end; its exit code."""
        if self.code is None:
            self.process.terminate()
        return int(self.process.wait(timeout_seconds))

    def last_words(self) -> str:
        return last_words(self.printed)


@contextmanager
def started(folder: Path, *arguments: str) -> Iterator[Start]:
    start = Start(folder, *arguments)
    try:
        yield start
    finally:
        start.end()


def is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def run(folder: Path, *arguments: str, timeout_seconds: float) -> float:
    """A whole run, from start to summary; the trainer's CPU seconds."""
    cpu_seconds = 0.0
    deadline = time.monotonic() + timeout_seconds
    with started(folder, *arguments) as start:
        while start.code is None:
            if time.monotonic() > deadline:
                raise SystemExit(f"{folder} did not end in time:\n{start.last_words()}")
            cpu_seconds = max(cpu_seconds, _trainer_seconds(start))
            time.sleep(_POLL_SECONDS)
        if start.code != 0:
            raise SystemExit(f"{folder} ended with code {start.code}:\n{start.last_words()}")
    return cpu_seconds


def run_to_version(folder: Path, *arguments: str, version: int, timeout_seconds: float) -> None:
    """A run that is stopped once `version` is published, unless it ends before."""

    async def watch(start: Start) -> None:
        bus = await opened(folder, start, timeout_seconds)
        deadline = time.monotonic() + timeout_seconds
        try:
            while await follow(bus, start, _POLL_SECONDS):
                heads = bus.log.heads()
                if sum(end for (topic, _), end in heads.items() if topic == "weights") > version:
                    return
                if time.monotonic() > deadline:
                    raise SystemExit(f"{folder} did not end in time:\n{start.last_words()}")
        finally:
            await bus.close()

    with started(folder, *arguments) as start:
        asyncio.run(watch(start))
        if code := start.interrupt():
            raise SystemExit(f"{folder} ended with code {code}:\n{start.last_words()}")


def _trainer_seconds(start: Start) -> float:
    for roles, process in start.workers().items():
        if "trainer" in roles.split():
            try:
                times = process.cpu_times()
            except psutil.Error:
                return 0.0
            return float(times.user + times.system)
    return 0.0


async def follow(bus: Bus, start: Start, seconds: float) -> bool:
    """Wait a little; False once the run has ended."""
    await asyncio.sleep(seconds)
    return start.code is None


async def opened(folder: Path, start: Start, timeout_seconds: float = 60.0) -> Bus:
    """The log of a run that has just been started, to be read only. Close it."""
    deadline = time.monotonic() + timeout_seconds
    run_folder = RunFolder(folder)
    while time.monotonic() < deadline:
        if start.code is not None:
            raise SystemExit(f"{folder} ended with code {start.code}:\n{start.last_words()}")
        try:
            return run_folder.recipe().bus.build(folder, create=False, read_only=True)
        except (BusError, UsageError):
            await asyncio.sleep(0.1)
    raise SystemExit(f"{folder} has no log after {timeout_seconds:.0f} s:\n{start.last_words()}")


def events(bus: Bus, topic: str) -> list[Event]:
    """All of a topic, partition by partition."""
    parts = sorted(partition for named, partition in bus.log.heads() if named == topic)
    return [record.event() for part in parts for record in bus.log.read(topic, part)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A version's held-out mean, `seconds` after version 0 was published."""

    version: int
    seconds: float
    mean: float


def scores(bus: Bus, levels: Sequence[int] | None = None) -> list[Score]:
    """Every evaluation in order of versions: the mean over all suites of `levels`, or over what
    the run itself calls held out."""
    published = {event.id: event for event in events(bus, "weights") if isinstance(event, Weights)}
    first = min((event.created_at for event in published.values()), default=None)
    found = {}
    for event in events(bus, "evaluations"):
        if isinstance(event, Evaluation) and first is not None and event.weights in published:
            since = published[event.weights].created_at - first
            found[event.weights_version] = Score(
                version=event.weights_version,
                seconds=since.total_seconds(),
                mean=mean_of(event, levels),
            )
    return [found[version] for version in sorted(found)]


def mean_of(evaluation: Evaluation, levels: Sequence[int] | None) -> float:
    if levels is None:
        return evaluation.held_out
    return fmean(score.accuracy for score in evaluation.scores if score.level in levels)


def read_scores(folder: Path, levels: Sequence[int] | None = None) -> list[Score]:
    """`scores` of a run that has ended."""

    async def read() -> list[Score]:
        async with RunFolder(folder).log() as bus:
            return scores(bus, levels)

    return asyncio.run(read())


def audit(folder: Path) -> dict[str, Any]:
    """What `evolvent audit` says of a run, whether or not it found violations."""
    done = subprocess.run(
        command("audit", str(folder), "--json"), check=False, cwd=ROOT, capture_output=True
    )
    if not done.stdout:
        raise SystemExit(f"the audit failed:\n{done.stderr.decode()}")
    audited: dict[str, Any] = json.loads(done.stdout)
    return audited


def read_topic(folder: Path, topic: str) -> list[Event]:
    """The events of a run that has ended."""

    async def read() -> list[Event]:
        async with RunFolder(folder).log() as bus:
            return events(bus, topic)

    return asyncio.run(read())


def read_versions(folder: Path) -> list[Weights]:
    """The versions of a run that has ended."""
    return [event for event in read_topic(folder, "weights") if isinstance(event, Weights)]
