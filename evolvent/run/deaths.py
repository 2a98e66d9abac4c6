"""Which processes of a run died, of what, and how often in a row: kept beside their logs, so that
all who look at the run can say it. Knows no process and no screen.
"""

import json
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FILE = "deaths.json"

_NUMBERS = re.compile(r"0x[0-9a-f]+|[0-9a-f]{8,}|\d+")

_LOOPS, _ENDS, _ENDS_OF_A_BEGINNER = 2, 8, 4
"""So many deaths in a row, of the same reason and with no answer between, are a loop, and so many
end the run. A beginner has not answered anything since the start. A record whose handler raised an
error is laid aside by the third death (`bus.hands`): the fourth shows that it was not the record.
Where nobody knows which record it was, finding that out takes more of them."""

_TOLD, _TOLD_OF_A_BEGINNER = 3, 1
"""So many make the run fail that comes to its end without another answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """The last death of `who`: a role, or the roles of a process where nobody knows which. `own`
    ones were caused by what runs in the process, others came from outside; `times` counts those of
    the process in a row, of the same reason and with no answer between. `at` is for people."""

    who: str
    reason: str
    own: bool
    times: int = 1
    at: str = ""

    def __str__(self) -> str:
        often = f", {self.times} times in a row" if self.times > 1 else ""
        return f"{self.who}: {self.reason} ({self.at[:19].replace('T', ' ')}{often})"


@dataclass(slots=True, kw_only=True)
class Series:
    """Deaths of one process in a row, of one reason. `roles` are those that died, if that
    `is_known`, `answered` what they had answered by the last of them, `at_start` by the start of
    the run."""

    reason: str
    is_known: bool = True
    roles: set[str] = field(default_factory=set)
    times: int = 0
    answered: int = 0
    at_start: int = 0

    @property
    def is_of_a_beginner(self) -> bool:
        return self.answered == self.at_start

    def __str__(self) -> str:
        often = f"{self.times} times in a row" if self.times > 1 else "without having done anything"
        return f"the {' and the '.join(sorted(self.roles))} died {often}: {self.reason}"


class Deaths:
    """Those of one start. `answered` says how many records a role has answered."""

    def __init__(self, logs: Path, answered: Callable[[str], int]) -> None:
        self.logs = logs
        self._answered = answered
        self._before = read(logs)
        self._at_start: dict[str, int] = {}
        self._series: dict[tuple[str, ...], Series] = {}
        self.last: dict[str, Death] = {}

    def begin(self, roles: tuple[str, ...]) -> None:
        """They are about to be started for the first time."""
        for role in roles:
            self._at_start.setdefault(role, self._answered(role))

    def add(self, process: tuple[str, ...], role: str, reason: str, *, own: bool) -> None:
        """A process died, in the service `role` if that is known."""
        series = self._series.get(process)
        if not own:
            # Whoever is killed may have been well.
            series = Series(reason=reason)
        elif series is None or _kind(series.reason) != _kind(reason) or not self._lasts(series):
            # The order is that of first deaths: what came first may be the cause of the others.
            self._series.pop(process, None)
            series = self._series[process] = Series(reason=reason)
        series.roles |= {role} if role else {*process}
        series.is_known = series.is_known and bool(role)
        series.times += 1
        series.answered = sum(map(self._answered, series.roles))
        series.at_start = sum(self._at_start.get(one, 0) for one in series.roles)
        death = Death(
            who=role or "+".join(process),
            reason=reason,
            own=own,
            times=series.times,
            at=datetime.now(UTC).isoformat(),
        )
        self.last.pop(death.who, None)
        self.last[death.who] = death
        self._write()

    def hopeless(self, process: tuple[str, ...]) -> Series | None:
        """Why to start a process again would be the same once more; None where it may help."""
        series = self._series.get(process)
        if series is None or not self._lasts(series):
            return None
        soon = series.is_of_a_beginner and series.is_known
        limit = _ENDS_OF_A_BEGINNER if soon else _ENDS
        return series if series.times >= limit else None

    def looping(self) -> list[Series]:
        """What happens again and again by now, the first of it first."""
        return [one for one in self._series.values() if one.times >= _LOOPS and self._lasts(one)]

    def fatal(self) -> list[Series]:
        """The same at the end of a run: what makes it fail."""
        return [
            one
            for one in self._series.values()
            if one.times >= (_TOLD_OF_A_BEGINNER if one.is_of_a_beginner else _TOLD)
            and self._lasts(one)
        ]

    def _lasts(self, series: Series) -> bool:
        """Whether nobody of it has answered anything since."""
        return sum(map(self._answered, series.roles)) == series.answered

    def _write(self) -> None:
        known = {**self._before, **self.last}
        aside = self.logs / f"{FILE}.tmp"
        with suppress(OSError):
            aside.write_text(json.dumps([asdict(death) for death in known.values()], indent=1))
            aside.rename(self.logs / FILE)


def read(logs: Path) -> dict[str, Death]:
    """The last death of everyone who ever died, by name; empty where nobody wrote it down."""
    try:
        stored: list[dict[str, Any]] = json.loads((logs / FILE).read_bytes())
        deaths = [Death(**death) for death in stored]
    except (OSError, ValueError, TypeError):
        return {}
    return {death.who: death for death in deaths}


def _kind(reason: str) -> str:
    """Reasons that differ in numbers alone are the same."""
    return _NUMBERS.sub("#", reason)
