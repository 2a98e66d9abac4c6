"""What a person sees while a run goes on: a live picture in a terminal, plain lines elsewhere.
Knows `Progress` and what the supervisor tells it as an `Activity`; starts and stops nothing.
"""

from datetime import datetime
from time import monotonic
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live

from observability.progress.disk import said
from observability.progress.progress import Progress
from observability.terminal.activity import Activity, clock, restarts
from observability.terminal.lines import told, waiting
from observability.terminal.screen import Screen

_PLAIN_SECONDS = 5.0
_PLAIN_FIRST_SECONDS = 1.0


class LiveView:
    """Call `update` two to four times a second inside `with`; it refreshes the progress."""

    def __init__(
        self, progress: Progress, console: Console | None = None, *, rows: int = 8
    ) -> None:
        self._progress = progress
        self._console = console or Console()
        self._rows = rows
        self._live = Live(console=self._console, auto_refresh=False)
        self._printed_at = float("-inf")
        self._printed_phase = ""

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def update(self, activity: Activity) -> None:
        """Show the run as it is now."""
        self._progress.refresh()
        self.show(activity)

    def show(self, activity: Activity) -> None:
        """Show what was known of the run at the last update."""
        if self._console.is_terminal:
            self._live.update(Screen(self._progress, activity, self._rows), refresh=True)
        else:
            self._print(activity)

    def _print(self, activity: Activity) -> None:
        """One line every few seconds, every second until there is a version, and at once when
        another phase begins or something crashed."""
        now, phase = (
            monotonic(),
            activity.phase.rstrip("0123456789/, s") + "".join(activity.crashes),
        )
        pause = _PLAIN_SECONDS if activity.served else _PLAIN_FIRST_SECONDS
        if phase == self._printed_phase and now - self._printed_at < pause:
            return
        self._printed_at, self._printed_phase = now, phase
        line = f"{datetime.now():%H:%M:%S} {plain_line(self._progress, activity)}"
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


def plain_line(progress: Progress, activity: Activity) -> str:
    """The run in one line, without colour."""
    parts = [activity.phase]
    if not activity.served:
        parts += [f"{one.name}: {one.last_line}" for one in activity.processes if one.last_line]
    if progress.newest is not None:
        parts.append(f"version {progress.newest.number}")
    if (evaluation := progress.newest_evaluation) is not None:
        share = progress.held_out_levels.held_out(evaluation)
        if share is not None:
            parts.append(f"held out {share:.1%} (version {evaluation.weights_version})")
    if progress.tokens_per_second is not None:
        parts.append(f"{progress.tokens_per_second:,.0f} tokens/s")
    if lines := waiting(progress):
        parts.append("lag " + ", ".join(lines).replace("\N{NO-BREAK SPACE}", " "))
    parts += [f"{label} {line}" for label, line in told(progress)]
    if number := sum(process.restarts for process in activity.processes):
        parts.append(restarts(number))
    if activity.disk is not None and activity.disk.is_low:
        parts.append(f"disk {said(activity.disk)}")
    if activity.crashes:
        parts.append(f"last crash {activity.crashes[-1]}")
    if activity.seconds_left is not None:
        parts.append(f"{clock(activity.seconds_left)} left")
    return " | ".join(parts)
