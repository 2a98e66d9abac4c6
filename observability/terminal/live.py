"""What a person sees while a run goes on: a live picture in a terminal, plain lines elsewhere.
Knows `Progress` and what the supervisor tells it as an `Activity`; starts and stops nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic
from types import TracebackType
from typing import Self

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from bus.topics import DEAD_SUFFIX
from observability.progress.disk import Disk, said
from observability.progress.progress import Progress
from observability.terminal.curve import sparkline
from observability.terminal.heat import HeatTable
from observability.terminal.lines import disk_line, frontier, told, waiting

_PLAIN_SECONDS = 5.0
_PLAIN_FIRST_SECONDS = 1.0
_SPARKS = 16
_FIXED_LINES = 15


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
        line = plain_line(self._progress, activity)
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
    if restarts := sum(process.restarts for process in activity.processes):
        parts.append(_restarts(restarts))
    if activity.disk is not None and activity.disk.is_low:
        parts.append(f"disk {said(activity.disk)}")
    if activity.crashes:
        parts.append(f"last crash {activity.crashes[-1]}")
    if activity.seconds_left is not None:
        parts.append(f"{clock(activity.seconds_left)} left")
    return " | ".join(parts)


def clock(seconds: float) -> str:
    """1:05, or 2:01:05."""
    minutes, second = divmod(max(0, round(seconds)), 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour}:{minute:02}:{second:02}" if hour else f"{minute}:{second:02}"


def _restarts(number: int) -> str:
    return f"{number} restart{'s' * (number != 1)}"


class Screen:
    """One frame of the live view; fits itself to the width it gets."""

    def __init__(self, progress: Progress, activity: Activity, rows: int = 8) -> None:
        self._progress = progress
        self._activity = activity
        self._rows = rows

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        progress = self._progress
        parts: list[RenderableType] = [
            _phase(self._activity),
            Text(),
            HeatTable(progress, self._fitting_rows(console.height)),
            Text(),
            _facts(progress, self._activity),
        ]
        if self._activity.processes:
            parts += [Text(), _processes(self._activity)]
        title = Text.assemble(("evolvent ", "bold"), f"{progress.recipe} ", style="default")
        if progress.seed is not None:
            title.append(f"· seed {progress.seed} ", style="dim")
        body = Group(*parts)
        yield Panel(body, title=title, title_align="left", border_style="cyan", padding=(0, 1))

    def _fitting_rows(self, height: int) -> int:
        """So many versions that the frame is no higher than the terminal."""
        evaluation, curriculum = self._progress.newest_evaluation, self._progress.newest_curriculum
        suites = len({score.suite for score in evaluation.scores}) if evaluation else 1
        families = len(curriculum.top) if curriculum else 0
        others = _FIXED_LINES + families + len(self._activity.processes) + 2 * suites
        others += len(told(self._progress)) + len(self._activity.crashes)
        return max(2, min(self._rows, (height - others) // max(1, suites)))


def _phase(activity: Activity) -> Table:
    grid = Table.grid(padding=(0, 2), expand=True)
    grid.add_column(no_wrap=True, overflow="ellipsis")
    grid.add_column(ratio=1)
    grid.add_column(justify="right", no_wrap=True)
    done = activity.fraction
    bar = ProgressBar(total=1.0, completed=done or 0.0, pulse=done is None)
    left = activity.seconds_left
    grid.add_row(
        Text(activity.phase, style="bold cyan"),
        bar,
        Text(f"{clock(left)} left" if left is not None else ""),
    )
    return grid


def _facts(progress: Progress, activity: Activity) -> Table:
    grid = Table.grid(padding=(0, 2), expand=True)
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(ratio=1)
    for line in frontier(progress):
        grid.add_row("curriculum", line)
    grid.add_row("versions", _versions(progress, activity))
    rates = [v.tokens_per_second or 0.0 for v in progress.recent(_SPARKS)[-_SPARKS:]]
    speed = progress.tokens_per_second
    grid.add_row(
        "tokens/s",
        Text.assemble(
            (f"{speed:,.0f} " if speed is not None else "– ", "bold"),
            (sparkline([rate for rate in rates if rate], _SPARKS), "cyan"),
        ),
    )
    grid.add_row("staleness", _staleness(progress))
    grid.add_row("lag", " · ".join(waiting(progress)) or Text("none", style="dim"))
    for label, what in told(progress):
        grid.add_row(label, Text(what, style="bold yellow", no_wrap=True, overflow="ellipsis"))
    for crash in activity.crashes:
        grid.add_row("last crash", Text(crash, style="yellow", no_wrap=True, overflow="ellipsis"))
    if counts := _counts(progress):
        grid.add_row("log", counts)
    if activity.disk is not None:
        grid.add_row("disk", disk_line(activity.disk))
    return grid


def _versions(progress: Progress, activity: Activity) -> Text:
    if progress.newest is None:
        return Text("none yet", style="dim")
    text = Text.assemble((f"{progress.newest.number}", "bold"), " published")
    if progress.versions_per_minute is not None:
        text.append(f" · {progress.versions_per_minute:.0f}/min")
    if activity.served:
        served = ", ".join(f"{name} {version}" for name, version in activity.served.items())
        text.append(f" · served: {served}")
    if activity.swap_pause_ms is not None:
        text.append(f" · swapped in {activity.swap_pause_ms:.1f} ms")
    return text


def _staleness(progress: Progress) -> Text:
    newest = progress.newest
    mean = newest.metric("staleness_mean") if newest else None
    highest = newest.metric("staleness_max") if newest else None
    if mean is None or highest is None:
        return Text("–", style="dim")
    return Text.assemble((f"{mean:.1f}", "bold"), f" mean · {highest:.0f} max, in versions")


def _counts(progress: Progress) -> Text:
    text = Text()
    for topic in ("tasks", "attempts", "judgments", "refusals"):
        if count := progress.counts.get(topic, 0):
            text.append(f"{' · ' if text else ''}{count:,} {topic}")
    dead = sum(count for name, count in progress.counts.items() if name.endswith(DEAD_SUFFIX))
    if dead:
        text.append(f"{' · ' if text else ''}{dead:,} dead letters", style="bold yellow")
    return text


def _processes(activity: Activity) -> Table:
    grid = Table.grid(padding=(0, 2), expand=True)
    grid.add_column(no_wrap=True)
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(no_wrap=True)
    grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis", style="dim")
    for process in activity.processes:
        grid.add_row(
            process.name,
            str(process.pid) if process.pid is not None else Text("down", style="bold red"),
            Text(_restarts(process.restarts), style="yellow") if process.restarts else "",
            Text(process.last_line),
        )
    return grid
