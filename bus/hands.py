"""What the roles of one process have in hand, remembered beyond the end of the process: a record
that ends it again and again is found. Knows no role and no driver.

    hold -> at (handled) -> release             FILE: in hand now, and what was when processes ended

Whatever was in hand when a process ended is suspect. What has been so twice is handled in smaller
and smaller company, alone at last; what ended the process `ENDS` times while it was alone, or by an
exception of its own, is condemned. An end with nothing in hand shows that others end processes: the
count begins anew. Where record after record ends its process the records are not at fault: after
`MAX_CONDEMNED` in a row none is condemned.
"""

import asyncio
import fcntl
import hashlib
import json
import logging
import math
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from bus.errors import BusError, Fenced, Outage
from bus.records import Positioned

ENDS = 3
"""So many ends of its process condemn a record."""

MAX_CONDEMNED = 3
SMALLER = 8
"""By which the company of a suspect shrinks."""

HANDLE_SECONDS = 3600.0
_TICK_SECONDS = 0.5
_NOT_THE_RECORDS = (BusError, Fenced, Outage, OSError, asyncio.CancelledError, KeyboardInterrupt)
"""What a handler raises when the world is at fault."""

_log = logging.getLogger(__name__)


def _is_the_records(error: BaseException) -> bool:
    """Whether a record may be at fault; an error of a layer above says of itself when none is."""
    return not isinstance(error, _NOT_THE_RECORDS) and not getattr(error, "is_outage", False)


def hand_of(group: str, at: Positioned) -> str:
    """What a record is called in the hands of a group."""
    return f"{group}:{at.topic}/{at.partition}/{at.offset}"


@dataclass(slots=True)
class Suspicion:
    """Of one record: at how many ends of a process it was in hand, the last time with how many
    others, and how many of them it alone can have caused."""

    ends: int = 0
    company: int = 0
    alone: int = 0
    why: str = ""


@dataclass(slots=True)
class _Memory:
    """What the file holds. `ended` says that the process ended in order."""

    held: list[str] = field(default_factory=list)
    suspects: dict[str, Suspicion] = field(default_factory=dict)
    condemned: int = 0
    ended: bool = False

    @classmethod
    def read(cls, text: bytes) -> "_Memory":
        """Empty when a process ended in the middle of a word."""
        try:
            said: dict[str, Any] = json.loads(text)
            said["suspects"] = {at: Suspicion(**one) for at, one in said["suspects"].items()}
            return cls(**said)
        except (ValueError, TypeError, KeyError, AttributeError):
            return cls()

    def written(self) -> bytes:
        suspects = {at: asdict(one) for at, one in self.suspects.items()}
        said = {
            "held": self.held,
            "suspects": suspects,
            "condemned": self.condemned,
            "ended": self.ended,
        }
        return json.dumps(said, separators=(",", ":")).encode()

    def judge(self, why: str = "with it alone in hand") -> None:
        """A process is gone: what the end of it says of what it had in hand."""
        if self.ended:
            return
        if not self.held:
            for one in self.suspects.values():
                one.alone = 0
        self.suspects = {
            at: one
            for at, one in self.suspects.items()
            if at in self.held or one.ends > 1 or one.alone
        }
        for at in self.held:
            one = self.suspects.setdefault(at, Suspicion())
            one.ends, one.company = one.ends + 1, len(self.held)
            if one.company == 1:
                one.alone += 1
                one.why = why
        self.held = []


class Hands:
    """Of one process. Its file lies in `folder`, without one nothing is remembered; it takes the
    place of those of its `name` that have ended. What is handled for longer than `handle_seconds`
    ends the process, and counts like any other end."""

    def __init__(
        self, folder: Path | None = None, name: str = "", handle_seconds: float = HANDLE_SECONDS
    ) -> None:
        self._memory = _Memory()
        self._file: int | None = None
        self._blamed: list[str] = []
        self._room = asyncio.Event()
        self._in_hand: set[str] = set()
        self._waiting = 0
        self._handling: dict[str, float] = {}
        self._handle_seconds = handle_seconds
        self._lock = threading.Lock()
        self._over = threading.Event()
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            for other in sorted(folder.glob(f"{name}~*")):
                _inherit(self._memory, other)
            self._path, self._file = _created(folder, name)
            self._write()
            threading.Thread(target=self._watch, name="hands", daemon=True).start()

    def condemned(self, at: str) -> str | None:
        """Why a record is to be handled by nobody; None when it may be."""
        one = self._memory.suspects.get(at)
        if one is None or one.alone < ENDS or self._memory.condemned >= MAX_CONDEMNED:
            return None
        return f"it ended its process {one.alone} times, {one.why}"

    def together(self, hands: Sequence[str]) -> list[list[str]]:
        """Records in the parts in which they may be taken in hand, what is suspect last: so that
        others are answered meanwhile."""
        if not any(self.company(at) < math.inf for at in self._memory.suspects):
            return [list(hands)] if hands else []
        return [[at] for at in sorted(hands, key=self._rank)]

    def _rank(self, at: str) -> tuple[bool, int, str]:
        """In another order after each end: the culprit is seldom among the first."""
        one = self._memory.suspects.get(at, Suspicion())
        mixed = hashlib.sha256(f"{one.ends}/{at}".encode()).hexdigest()
        return self.company(at) < math.inf, one.alone, mixed

    async def hold(self, hands: Sequence[str]) -> None:
        """Take them in hand; waits while one that is suspect needs to be among few."""
        suspect = any(self.company(at) < math.inf for at in hands)
        self._waiting += suspect
        try:
            while not self._fits(hands, suspect):
                self._room.clear()
                await self._room.wait()
        finally:
            self._waiting -= suspect
        self._in_hand.update(hands)
        self._write()

    @contextmanager
    def at(self, hand: str) -> Iterator[None]:
        """While it is handled."""
        self._handling[hand] = 0.0
        try:
            yield
        except BaseException as error:
            if _is_the_records(error):
                self._blame(hand, f"the last time by {type(error).__name__}: {error}"[:300])
            raise
        finally:
            self._handling.pop(hand, None)

    @contextmanager
    def together_at(self, hands: Sequence[str]) -> Iterator[None]:
        """While all of them are worked on as one: which of them is at fault an error does not
        say."""
        try:
            yield
        except BaseException as error:
            if _is_the_records(error):
                self._memory.held, self._memory.ended = list(hands), False
                self._memory.judge(f"the last time by {type(error).__name__}: {error}"[:300])
                self._memory.ended = True
                self._write()
            raise

    def release(self, hands: Sequence[str]) -> None:
        """They are done, and innocent, or dead."""
        self._in_hand.difference_update(hands)
        suspects = self._memory.suspects
        if not suspects and not self._memory.condemned:
            return
        for at in hands:
            condemned = self.condemned(at) is not None
            suspects.pop(at, None)
            self._memory.condemned = self._memory.condemned + 1 if condemned else 0
        self._write()
        self._room.set()

    def close(self) -> None:
        """The process ends in order."""
        self._over.set()
        if self._file is not None:
            self._in_hand.clear()
            self._memory.ended = True
            self._write()
            if not self._memory.suspects and not self._memory.condemned:
                self._path.unlink(missing_ok=True)
            with self._lock:
                os.close(self._file)
                self._file = None

    def _fits(self, hands: Sequence[str], suspect: bool) -> bool:
        if not self._memory.suspects or not self._in_hand:
            return suspect or not self._waiting
        if self._waiting and not suspect:
            return False
        most = min(self.company(at) for at in (*hands, *self._in_hand))
        return len(self._in_hand) + len(hands) <= most

    def company(self, at: str, ends: int = 2) -> float:
        """Among how many a record may be in hand, once it was so at so many ends in a row."""
        one = self._memory.suspects.get(at)
        if one is None or (one.ends < ends and not one.alone):
            return math.inf
        return max(1, one.company // SMALLER)

    def _blame(self, hand: str, why: str) -> None:
        """An exception of its handler says whose fault it is, unless several have one at once."""
        self._blamed.append(hand)
        one = self._memory.suspects.setdefault(hand, Suspicion())
        one.ends, one.why = one.ends + 1, why
        if len(self._blamed) == 1:
            one.alone += 1
        elif len(self._blamed) == 2:
            self._memory.suspects[self._blamed[0]].alone -= 1
        for at in self._blamed:
            self._memory.suspects[at].company = len(self._blamed)
        self._memory.ended = True
        self._write()

    def _write(self) -> None:
        """In place, in one call: what a killed process has written the system keeps."""
        with self._lock:
            if self._file is None:
                return
            memory = self._memory
            memory.held = [] if memory.ended else list(self._in_hand)
            text = memory.written()
            os.pwrite(self._file, text, 0)
            os.ftruncate(self._file, len(text))

    def _watch(self) -> None:
        """Ends the process when a handler does not end. Time in which the process was stopped does
        not count."""
        before = time.monotonic()
        while not self._over.wait(_TICK_SECONDS):
            now = time.monotonic()
            passed, before = min(now - before, 2 * _TICK_SECONDS), now
            late = []
            for at in list(self._handling):
                if at in self._handling:
                    self._handling[at] += passed
                    if self._handling[at] > self._handle_seconds:
                        late.append(at)
            if late:
                self._in_hand = set(late)
                self._write()
                _log.error(
                    "%s is handled for over %.0f s (run.handle_seconds): this process ends, to "
                    "start again",
                    late[0],
                    self._handle_seconds,
                )
                os._exit(1)


def _created(folder: Path, name: str) -> tuple[Path, int]:
    """A new file that is locked for as long as this process lives."""
    while True:
        path = folder / f"{name}~{uuid4().hex[:12]}"
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists():
                return path, file
        os.close(file)  # another one has just begun and took it for one of a process that ended


def _inherit(memory: _Memory, other: Path) -> None:
    """What a process that has ended knew of its records; nothing of one that lives."""
    try:
        file = os.open(other, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        theirs = _Memory.read(os.read(file, 1 << 24))
        theirs.judge()
        for at, one in theirs.suspects.items():
            mine = memory.suspects.setdefault(at, one)
            if mine.alone < one.alone:
                memory.suspects[at] = one
        memory.condemned = max(memory.condemned, theirs.condemned)
        other.unlink()
    except OSError:
        return
    finally:
        os.close(file)
