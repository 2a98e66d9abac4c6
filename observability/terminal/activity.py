"""What goes on besides the log, as whoever supervises a run tells it. Knows no screen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from observability.progress.disk import Disk


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessState:
    """One process of the run, as its supervisor sees it; `pid` None while it does not run."""

    name: str
    pid: int | None = None
    restarts: int = 0
    last_line: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """What goes on besides the log: the phase in words ("warming up the seed model 120/250"),
    how much of it is done (0 to 1), the processes, what the engines serve, the disk, and the last
    crash of every role, a line each."""

    phase: str
    fraction: float | None = None
    seconds_left: float | None = None
    processes: tuple[ProcessState, ...] = ()
    served: Mapping[str, int] = field(default_factory=dict)
    swap_pause_ms: float | None = None
    disk: Disk | None = None
    crashes: Sequence[str] = ()


def clock(seconds: float) -> str:
    """1:05, or 2:01:05."""
    minutes, second = divmod(max(0, round(seconds)), 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour}:{minute:02}:{second:02}" if hour else f"{minute}:{second:02}"


def restarts(number: int) -> str:
    return f"{number} restart{'s' * (number != 1)}"
