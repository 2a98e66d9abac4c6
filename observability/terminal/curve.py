"""Accuracy in a terminal: the curve of a whole run, in braille and blocks. Knows only `Progress`
and the width it is given.
"""

from collections.abc import Mapping, Sequence

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from bus.events import Evaluation, SuiteScore
from observability.progress.progress import Progress
from observability.terminal.heat import colour_of, heat_style, thinned

_BLOCKS = "▁▂▃▄▅▆▇█"
_BRAILLE = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
_PLOT_ROWS = 9
_SPARKS = 20


def sparkline(values: Sequence[float], width: int, top: float | None = None) -> str:
    """The last values as blocks, scaled to `top` or to the largest."""
    shown = list(values)[-width:]
    highest = top if top is not None else max(shown, default=0.0)
    if highest <= 0.0:
        return _BLOCKS[0] * len(shown)
    return "".join(_BLOCKS[min(7, max(0, int(value / highest * 7.999)))] for value in shown)


def accuracy_curves(runs: Mapping[str, Progress]) -> RenderableType:
    """One below the other, each under its name; of one run, the curve alone."""
    if len(runs) == 1:
        return accuracy_curve(*runs.values())
    return Group(
        *(
            Group(Text(name, style="bold"), Text(), accuracy_curve(progress), Text())
            for name, progress in runs.items()
        )
    )


def accuracy_curve(progress: Progress) -> RenderableType:
    """Held-out accuracy over versions: the mean as a curve, every level as a line of blocks."""
    evaluations = list(progress.evaluations.values())
    if not evaluations:
        return Text("No version was evaluated yet: nothing to draw.")
    scored = [evaluation for evaluation in evaluations if evaluation.scores]
    if not scored:
        return Text("No suite was evaluated yet: nothing to draw.")
    by_level = _by_level(progress, scored)
    held_out = [each for each in scored if progress.held_out_levels.held_out(each) is not None]
    if not held_out:
        return Group(Text("No held-out level was evaluated yet."), Text(), by_level)
    title = Text.assemble(
        ("held-out accuracy over versions", "bold"),
        f"   {held_out[0].held_out:.1%} → ",
        (f"{held_out[-1].held_out:.1%}", "bold"),
    )
    return Group(title, Text(), _Plot(held_out), Text(), by_level)


class _Plot:
    """The mean held-out accuracy as a braille curve, two dots wide and four high per cell."""

    def __init__(self, evaluations: Sequence[Evaluation]) -> None:
        self._versions = [evaluation.weights_version for evaluation in evaluations]
        self._values = [evaluation.held_out for evaluation in evaluations]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        columns = max(10, min(options.max_width - 8, 100))
        heights = self._heights(columns * 2, _PLOT_ROWS * 4 - 1)
        cells = [[0] * columns for _ in range(_PLOT_ROWS)]
        for x, height in enumerate(heights):
            before = heights[x - 1] if x else height
            for y in range(min(before, height), max(before, height) + 1):
                dot = _PLOT_ROWS * 4 - 1 - y
                cells[dot // 4][x // 2] |= _BRAILLE[dot % 4][x % 2]
        for row, line in enumerate(cells):
            share = 1 - row / (_PLOT_ROWS - 1)
            label = f"{share:>5.0%} ┤" if row % 2 == 0 else "      │"
            red, green, blue = colour_of(0.35 + 0.65 * share)
            curve = "".join(chr(0x2800 + dots) for dots in line)
            yield Text.assemble((label, "dim"), (curve, f"rgb({red},{green},{blue})"), no_wrap=True)
        last = f"version {self._versions[-1]}"
        gap = max(1, columns - len(str(self._versions[0])) - len(last))
        yield Text("      └" + "─" * columns, style="dim", no_wrap=True)
        yield Text(f"       {self._versions[0]}{' ' * gap}{last}", style="dim", no_wrap=True)

    def _heights(self, width: int, top: int) -> list[int]:
        """The curve's height at each of `width` places, straight between versions."""
        span = max(1, self._versions[-1] - self._versions[0])
        heights, at = [], 0
        for x in range(width):
            version = self._versions[0] + span * x / max(1, width - 1)
            while at < len(self._versions) - 2 and self._versions[at + 1] < version:
                at += 1
            nearest = min(at + 1, len(self._versions) - 1)
            gap = self._versions[nearest] - self._versions[at]
            part = min(1.0, (version - self._versions[at]) / gap) if gap else 0.0
            value = self._values[at] + (self._values[nearest] - self._values[at]) * part
            heights.append(round(value * top))
        return heights


def _by_level(progress: Progress, evaluations: Sequence[Evaluation]) -> Table:
    end = progress.held_out_levels.warm_up_end
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("suite", no_wrap=True, overflow="ellipsis")
    table.add_column("level", justify="right", no_wrap=True)
    table.add_column(f"v{evaluations[0].weights_version}", justify="right", no_wrap=True)
    table.add_column("over versions", no_wrap=True)
    table.add_column(f"v{evaluations[-1].weights_version}", justify="right", no_wrap=True)
    table.add_column("95 % interval", no_wrap=True)
    scores = [
        {(s.suite, s.level): s for s in evaluation.scores}
        for evaluation in thinned(evaluations, _SPARKS)
    ]
    named = ""
    for suite, level in sorted(set().union(*scores)):
        first, last = scores[0].get((suite, level)), scores[-1].get((suite, level))
        line = [s.accuracy for each in scores if (s := each.get((suite, level)))]
        seen = end is not None and level <= end
        interval = f"{last.low * 100:.0f}–{last.high * 100:.0f} % of {last.total}" if last else ""
        table.add_row(
            suite if suite != named else "",
            Text(f"seen {level}", style="dim") if seen else str(level),
            _cell(first),
            _coloured(line),
            _cell(last),
            Text(interval, style="dim"),
        )
        named = suite
    return table


def _coloured(values: Sequence[float]) -> Text:
    line = Text()
    for value in values:
        red, green, blue = colour_of(0.25 + 0.75 * value)
        line.append(sparkline([value], 1, top=1.0), style=f"rgb({red},{green},{blue})")
    return line


def _cell(score: SuiteScore | None) -> Text:
    if score is None:
        return Text("–", style="dim")
    return Text(f"{score.accuracy:>6.1%} ", style=heat_style(score.accuracy))
