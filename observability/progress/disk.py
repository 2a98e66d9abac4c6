"""What a run takes of its disk, how fast that grows, and how long the room lasts. Knows folders,
and no event.
"""

import json
import os
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

GB = 1e9
WINDOW_SECONDS = 3600.0
"""Growth is that of the last hour, so that what is thinned out counts."""
LEAST_SECONDS = 20.0
"""In less time growth is not known."""
_LOOK_SECONDS = 10.0
_SHARE = 0.005
"""So much of the time is spent on looking, however many files there are."""
_FILE = "disk.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """Of a run, in bytes: `used` by part, `free` on the disk of its folder, of which the `reserve`
    is left, and which has `size`; it grows by `per_hour`, None where that is not known."""

    used: Mapping[str, int]
    free: int
    size: int = 0
    reserve: float = 0.0
    per_hour: float | None = None

    @property
    def total(self) -> int:
        return sum(self.used.values())

    @property
    def is_low(self) -> bool:
        """Whether proposing waits for room."""
        return self.free < self.reserve

    @property
    def hours_left(self) -> float | None:
        """Until the reserve is reached; None where nothing grows, or nobody knows."""
        if not self.per_hour or self.per_hour <= 0:
            return None
        return max(0.0, self.free - self.reserve) / self.per_hour

    def as_json(self) -> dict[str, Any]:
        return {
            "used": dict(self.used),
            "free": self.free,
            "reserve": self.reserve,
            "per_hour": self.per_hour,
            "hours_left": self.hours_left,
            "low": self.is_low,
        }


class DiskWatch:
    """Looks at the folder of a run from time to time and leaves there what it saw, for whoever asks
    beside it. `look` and `now` read the disk."""

    def __init__(
        self, run: Path, reserve: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._run, self._reserve, self._clock = run, reserve, clock
        self._file = run / "logs" / _FILE
        self._samples: deque[tuple[float, int]] = deque()
        self.pause_seconds = _LOOK_SECONDS

    def look(self) -> Disk:
        """What there is, one more sample of how it grows."""
        started = self._clock()
        used = used_by(self._run)
        self._samples.append((started, sum(used.values())))
        while self._samples[0][0] < started - WINDOW_SECONDS:
            self._samples.popleft()
        aside = self._file.with_suffix(".aside")
        aside.write_text(json.dumps(list(self._samples)), encoding="utf-8")
        aside.replace(self._file)
        self.pause_seconds = max(_LOOK_SECONDS, (self._clock() - started) / _SHARE)
        return self._disk(used)

    def now(self) -> Disk:
        """What there is, with the growth that the run itself last saw."""
        try:
            raw = json.loads(self._file.read_bytes())
            samples = [(float(at), int(size)) for at, size in raw]
        except (OSError, ValueError, TypeError):
            samples = []
        # Another life of the machine counts from another beginning.
        self._samples = deque(one for one in samples if one[0] <= self._clock())
        return self._disk(used_by(self._run))

    def _disk(self, used: Mapping[str, int]) -> Disk:
        return Disk(
            used=used,
            free=free_bytes(self._run),
            size=whole_bytes(self._run),
            reserve=self._reserve,
            per_hour=_per_hour(self._samples),
        )


def _per_hour(samples: deque[tuple[float, int]]) -> float | None:
    if not samples:
        return None
    (first, before), (last, after) = samples[0], samples[-1]
    if last - first < LEAST_SECONDS:
        return None
    return (after - before) / (last - first) * 3600.0


def used_by(run: Path) -> dict[str, int]:
    """Bytes on the disk by part: the log, where it lies in the folder, the checkpoints, the rest.
    What several versions share counts once; what goes meanwhile does not count."""
    used = {"log": 0, "checkpoints": 0, "other": 0}
    seen: set[tuple[int, int]] = set()
    for folder, _, names in os.walk(run):
        inside = Path(folder).relative_to(run).parts
        for name in (*names, "."):
            try:
                stat = os.lstat(os.path.join(folder, name))
            except OSError:
                continue
            if stat.st_nlink > 1 and name != ".":
                if (stat.st_dev, stat.st_ino) in seen:
                    continue
                seen.add((stat.st_dev, stat.st_ino))
            is_log = not inside and name.startswith("log.sqlite")
            part = "log" if is_log else "checkpoints" if "checkpoints" in inside[:1] else "other"
            used[part] += stat.st_blocks * 512
    return used


def free_bytes(path: Path) -> int:
    """What an ordinary process may still write to the disk of `path`."""
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize


def whole_bytes(path: Path) -> int:
    """How large the disk of `path` is."""
    found = os.statvfs(path)
    return found.f_blocks * found.f_frsize


def size(number: float) -> str:
    """1.2 GB, 340 MB."""
    return f"{number / GB:,.1f} GB" if abs(number) >= GB else f"{number / 1e6:,.0f} MB"


def said(disk: Disk) -> str:
    """In one line: what is used, how it grows, how long it lasts."""
    parts = [f"{size(disk.total)} used, {size(disk.free)} free"]
    if disk.per_hour is not None:
        parts.append(f"{size(disk.per_hour)}/h")
    if (hours := disk.hours_left) is not None:
        parts.append(f"room for {_span(hours)}")
    if disk.is_low:
        parts.append(f"under the reserve of {size(disk.reserve)}: proposing waits for room")
    return " · ".join(parts)


def _span(hours: float) -> str:
    if hours < 1:
        return f"{hours * 60:.0f} minutes"
    return f"{hours:.0f} hours" if hours < 72 else f"{hours / 24:,.0f} days"
