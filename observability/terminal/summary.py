"""What a run has reached, said once at its end. Knows `Progress` and what it is handed."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from bus.events import SuiteScore
from observability.progress.disk import Disk
from observability.progress.progress import Progress
from observability.terminal.heat import heat_style
from observability.terminal.lines import (
    disk_line,
    frontier,
    policies,
    quantities,
    told,
    tries,
    waiting,
)


def summary(
    progress: Progress,
    *,
    restarts: int | None = None,
    disk: Disk | None = None,
    named: Mapping[str, str] | None = None,
    report: Path | None = None,
    go_on: str = "",
    groups: RenderableType | None = None,
    crashes: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> RenderableType:
    """Accuracy by level at the start and now, the run's figures, what else is `named`, the last
    crash of every role, where the report lies; below the box how far the `groups` are, what else a
    person should know, and the command that goes on."""
    parts: list[RenderableType] = [_headline(progress), Text()]
    if progress.newest_evaluation is not None and progress.newest_evaluation.scores:
        parts += [_accuracy(progress), Text()]
    parts.append(_figures(progress, restarts, disk, named or {}, crashes))
    if report is not None:
        parts += [Text(), Text.assemble(("report    ", "dim"), (str(report), "bold"))]
    panel = Panel(
        Group(*parts),
        title=Text(f"evolvent {progress.recipe}"),
        title_align="left",
        border_style="green",
        padding=(0, 1),
    )
    below: list[RenderableType] = [] if groups is None else [groups]
    below += [Text(note, style="yellow") for note in notes]
    if go_on:
        below += [Text("Go on with:", style="dim"), _Command(go_on)]
    return Group(panel, *below)


class _Command:
    """A shell command that can be copied from a terminal of any width."""

    def __init__(self, command: str) -> None:
        self._command = command

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        line = " "
        for word in self._command.split(" "):
            if line.strip() and len(line) + len(word) + 3 > options.max_width:
                yield Text(f"{line} \\", style="bold cyan", overflow="fold")
                line = "   "
            line += f" {word}"
        yield Text(line, style="bold cyan", overflow="fold")


def _headline(progress: Progress) -> Text:
    first, last = progress.first_evaluation, progress.newest_evaluation
    if first is None or last is None:
        return Text("No version was evaluated.", style="bold")
    levels = progress.held_out_levels
    now = levels.held_out(last)
    if now is None:
        return Text("No held-out level was evaluated.", style="bold")
    text = Text.assemble(
        "held-out accuracy ",
        _share(levels.held_out(first)),
        " → ",
        _share(now),
        f"  version {first.weights_version} → {last.weights_version}",
    )
    interval = levels.interval(last)
    if interval is not None:
        text.append(f"  (95 %: {interval[0]:.1%} – {interval[1]:.1%})", style="dim")
    return text


def _accuracy(progress: Progress) -> Table:
    first, last = progress.first_evaluation, progress.newest_evaluation
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("suite", no_wrap=True, overflow="ellipsis")
    table.add_column("level", justify="right", no_wrap=True)
    table.add_column("start", justify="right", no_wrap=True)
    table.add_column("now", justify="right", no_wrap=True)
    table.add_column("95 % interval", no_wrap=True)
    if first is None or last is None:
        return table
    before = {(score.suite, score.level): score for score in first.scores}
    end = progress.held_out_levels.warm_up_end
    named = ""
    for score in sorted(last.scores, key=lambda score: (score.suite, score.level)):
        seen = end is not None and score.level <= end
        interval = f"{score.low * 100:.0f}–{score.high * 100:.0f} % of {score.total}"
        table.add_row(
            score.suite if score.suite != named else "",
            Text(f"seen {score.level}", style="dim") if seen else str(score.level),
            _cell(before.get((score.suite, score.level))),
            _cell(score),
            Text(interval, style="dim"),
        )
        named = score.suite
    return table


def _share(share: float | None) -> Text:
    return Text(" – ", style="dim") if share is None else Text(f" {share:.1%} ", heat_style(share))


def _cell(score: SuiteScore | None) -> Text:
    if score is None:
        return Text("–", style="dim")
    return Text(f"{score.accuracy:>6.1%} ", style=heat_style(score.accuracy))


def _figures(
    progress: Progress,
    restarts: int | None,
    disk: Disk | None,
    named: Mapping[str, str],
    crashes: Sequence[str],
) -> Table:
    totals, number = progress.totals, progress.versions.total
    skipped, most = totals.skipped, totals.staleness_max
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column()
    grid.add_row("versions", f"{number:,}" + (f", {skipped:.0f} steps skipped" if skipped else ""))
    if trained := policies(progress):
        grid.add_row("policies", trained)
    learned = f"{totals.trained:,} events, {totals.samples:,.0f} samples"
    grid.add_row("learned", f"{learned}; {totals.dropped:,} dropped")
    if totals.timed_seconds:
        grid.add_row("tokens/s", f"{totals.timed_tokens / totals.timed_seconds:,.0f}")
    if totals.staleness_mean is not None and most is not None:
        mean = totals.staleness_mean
        grid.add_row("staleness", f"{mean:.2f} mean, {most:.0f} max, in versions")
    for measured in quantities(progress):
        grid.add_row("measured", measured)
    for tried in tries(progress):
        grid.add_row("tries", tried)
    for label, said in named.items():
        grid.add_row(label, said)
    for line in frontier(progress):
        grid.add_row("curriculum", line)
    if lines := waiting(progress):
        grid.add_row("lag", " · ".join(lines))
    for label, said in told(progress):
        grid.add_row(label, Text(said, style="bold yellow"))
    if disk is not None:
        grid.add_row("disk", disk_line(disk))
    if restarts is not None:
        grid.add_row("restarts", str(restarts))
    for crash in crashes:
        grid.add_row("last crash", Text(crash, style="yellow", overflow="fold"))
    return grid
