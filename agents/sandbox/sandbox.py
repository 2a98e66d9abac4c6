"""Programs that a model wrote, run where they can do no harm: source and arguments in, one line of
plain data out, or the reason why there is none. Knows no task.

Monty, a Python of its own in a process of its own without files, network and clock, runs them; that
process stands in bubblewrap where it works. Nothing is ever run anywhere else.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

from agents.sandbox import inside
from agents.sandbox.inside import MOST_CHARACTERS
from agents.sandbox.room import MIB, Door, Room, libraries, why_not
from agents.sandbox.values import NoValue, line_of

if TYPE_CHECKING:
    import pydantic_monty

Level = Literal["monty in bubblewrap", "monty alone"]

NAME = "f"
"""What a program calls the function that is asked about."""

MOST_SOURCE = 4_000
SECONDS = 1.0
_MEMORY, _DEEP, _SUSPENSIONS = 64 * MIB, 300, 20
_SLEEP_SECONDS, _ANSWER_SECONDS, _START_SECONDS = 0.05, 3.0, 30.0
_CHECKOUTS = 1_000
_PRINTED = 64 * 1024
_LIMITS = {"AS": 1024 * MIB, "FSIZE": 0, "NOFILE": 64, "NPROC": 256, "STACK": 8 * MIB, "CORE": 0}

_INSIDE = Path(inside.__file__).read_text(encoding="utf-8")
_ONE = _INSIDE + "\nran(SOURCE, NAME, ARGUMENTS)\n"
_MANY = _INSIDE + "\neach_ran(SOURCE, NAME, ARGUMENTS)\n"
_SAID = frozenset({"too large", "no plain data"})
_NOT_YET = "does not yet support"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What became of one run: the `line` of its value (`inside.py` says how values are written),
    or None and a `reason`: no Python, error, time, memory, too large, no plain data, unsupported,
    not deterministic, crashed; after a colon what it says besides."""

    line: str | None
    reason: str = ""


def check_sandbox(least: Level = "monty alone") -> None:
    """Raises ValueError without monty: nothing is run without a sandbox; or where one holds less
    than `least`."""
    if find_spec("pydantic_monty") is None:
        raise ValueError(
            "programs that a model wrote run in a sandbox alone, which is not installed: run "
            "`uv sync --extra sandbox`"
        )
    if least != "monty alone" and (reason := why_not()) is not None:
        raise ValueError(f"programs are to run in {least!r} alone, and {reason}")


def level() -> Level:
    """How well this machine holds programs."""
    return "monty in bubblewrap" if why_not() is None else "monty alone"


class Sandbox:
    """Runs one program at a time, each in a session of its own; the processes behind it start with
    the first. Raises ValueError if monty is not installed."""

    def __init__(self) -> None:
        check_sandbox()
        self._lock = Lock()
        self._pool: pydantic_monty.Monty | None = None

    def run(self, source: str, arguments: Sequence[Any], seconds: float = SECONDS) -> Ran:
        """What the function `f` of a program gives for plain `arguments`."""
        if (refused := _refused(source, arguments)) is not None:
            return refused
        with self._lock, self._session(seconds) as session:
            return _run(session, source, arguments)

    def run_twice(self, source: str, arguments: Sequence[Any], seconds: float = SECONDS) -> Ran:
        """The same, and that two processes say the same; else it is not deterministic."""
        if (refused := _refused(source, arguments)) is not None:
            return refused
        with self._lock, ExitStack() as stack:
            one, other = (stack.enter_context(self._session(seconds)) for _ in range(2))
            ran = _run(one, source, arguments)
            if ran.line is None or ran == _run(other, source, arguments):
                return ran
        return Ran(line=None, reason="not deterministic")

    def run_each(
        self, source: str, cases: Sequence[Sequence[Any]], seconds: float = SECONDS
    ) -> list[str | None]:
        """The line of each of many arguments, None where there is none; no line at all where all
        together take too long, or hold too much."""
        none: list[str | None] = [None] * len(cases)
        if any(_refused(source, case) for case in cases):
            return none
        with self._lock, self._session(seconds) as session:
            ran = _run(session, source, cases, program=_MANY, room=len(cases))
        lines = (ran.line or "").split("\n")
        return [line or None for line in lines] if len(lines) == len(cases) else none

    def _session(self, seconds: float) -> pydantic_monty.MontySession:
        if self._pool is None:
            self._pool = self._opened()
        return self._pool.checkout(
            limits={
                "max_feed_duration_secs": seconds,
                "max_memory": _MEMORY,
                "max_recursion_depth": _DEEP,
                "max_suspensions": _SUSPENSIONS,
            },
            # No clock: what is asked of one is an error, whenever it is asked.
            os_policy={"sleep_system_max": _SLEEP_SECONDS, "datetime": "call_host"},
            assert_message_annotations=False,
        )

    def _opened(self) -> pydantic_monty.Monty:
        import pydantic_monty
        from pydantic_monty._binary import find_monty_binary

        binary = find_monty_binary()
        room = Room(command=("/monty",), binds=((binary, "/monty"), *libraries()), limits=_LIMITS)
        door = Door(room, wrapped=why_not() is None)
        pool = pydantic_monty.Monty(
            binary_path=door.path,
            max_processes=2,
            checkout_timeout=_START_SECONDS,
            request_timeout=_ANSWER_SECONDS,
            max_checkouts_per_worker=_CHECKOUTS,
        )
        pool.__enter__()
        weakref.finalize(self, _close, pool, door.close)
        return pool


def _close(pool: pydantic_monty.Monty, then: Callable[[], None]) -> None:
    pool.__exit__(None, None, None)
    then()


def _refused(source: str, arguments: Sequence[Any]) -> Ran | None:
    """Why a run is not even begun: what goes in is as plain as what comes out."""
    if len(source) > MOST_SOURCE:
        return Ran(line=None, reason="too large")
    try:
        source.encode()
        line_of(tuple(arguments))
    except (UnicodeEncodeError, NoValue):
        return Ran(line=None, reason="no plain data")
    return None


def _run(
    session: pydantic_monty.MontySession,
    source: str,
    arguments: Sequence[Any],
    program: str = _ONE,
    room: int = 1,
) -> Ran:
    import pydantic_monty

    given = {"SOURCE": source, "NAME": NAME, "ARGUMENTS": list(arguments)}
    printed = pydantic_monty.CollectString(_PRINTED)
    try:
        line = session.feed_run(program, inputs=given, print_callback=printed)
    except pydantic_monty.MontySyntaxError:
        return Ran(line=None, reason="no Python")
    except pydantic_monty.MontyConversionError:
        return Ran(line=None, reason="no plain data")
    except pydantic_monty.MontyCrashedError as error:
        return Ran(line=None, reason="time" if error.timed_out else "crashed")
    except pydantic_monty.MontyRuntimeError as error:
        return Ran(line=None, reason=_reason(error.exception()))
    if not isinstance(line, str) or len(line) > room * (MOST_CHARACTERS + 1):
        return Ran(line=None, reason="crashed")
    return Ran(line=line)


def _reason(error: BaseException) -> str:
    said = str(error)[:200]
    if isinstance(error, TimeoutError):
        return "time"
    if isinstance(error, MemoryError):
        return "memory"
    if isinstance(error, SyntaxError):
        return "no Python"
    if isinstance(error, ValueError) and said in _SAID:
        return said
    if isinstance(error, NotImplementedError) and _NOT_YET in said:
        return f"unsupported: {said.partition(_NOT_YET)[2].strip()[:40]}"
    if isinstance(error, ModuleNotFoundError):
        return f"unsupported: {said[:60]}"
    return f"error: {type(error).__name__[:40]}"
