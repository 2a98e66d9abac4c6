"""One frame of what a person sees in a terminal while a run goes on. Knows `Progress` and the
`Activity`, and draws nothing itself.
"""

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from bus.topics import DEAD_SUFFIX
from observability.progress.progress import Progress
from observability.terminal.activity import Activity, clock, restarts
from observability.terminal.curve import sparkline
from observability.terminal.heat import HeatTable
from observability.terminal.lines import (
    disk_line,
    frontier,
    policies,
    quantities,
    told,
    tries,
    waiting,
)

_SPARKS = 16
_FIXED_LINES = 15


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
        others += len(told(self._progress)) + len(quantities(self._progress))
        others += len(tries(self._progress)) + (len(self._progress.policies) > 1)
        others += len(self._activity.crashes)
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
    for measured in quantities(progress):
        grid.add_row("measured", Text(measured, no_wrap=True, overflow="ellipsis"))
    for tried in tries(progress):
        grid.add_row("tries", Text(tried, no_wrap=True, overflow="ellipsis"))
    for line in frontier(progress):
        grid.add_row("curriculum", line)
    grid.add_row("versions", _versions(progress, activity))
    if trained := policies(progress):
        grid.add_row("policies", Text(trained, no_wrap=True, overflow="ellipsis"))
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
    for topic in ("tasks", "attempts", "judgments", "refusals", "lessons"):
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
            Text(restarts(process.restarts), style="yellow") if process.restarts else "",
            Text(process.last_line),
        )
    return grid
