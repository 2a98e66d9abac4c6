"""Accuracy as colour: versions down, levels across, for a terminal. Knows only `Progress` and the
width it is given.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from rich.console import Console, ConsoleOptions, RenderResult
from rich.style import Style
from rich.text import Text

from bus.events import Evaluation
from observability.progress.progress import Progress

T = TypeVar("T")

SCALE = ((68, 1, 84), (65, 68, 135), (42, 120, 142), (34, 168, 132), (122, 209, 81), (253, 231, 37))
"""Viridis: dark to bright, told apart by everybody, colour-blind or not."""


_VERSION_WIDTH = 7
_MEAN_WIDTH = 10
_GAP = "  "


def colour_of(share: float) -> tuple[int, int, int]:
    """The colour of a share between 0 and 1."""
    place = min(max(share, 0.0), 1.0) * (len(SCALE) - 1)
    lower = min(int(place), len(SCALE) - 2)
    part = place - lower
    red, green, blue = (
        round(a + (b - a) * part) for a, b in zip(SCALE[lower], SCALE[lower + 1], strict=True)
    )
    return red, green, blue


def heat_style(share: float) -> Style:
    """A background that shows the share, and a foreground that can be read on it."""
    red, green, blue = colour_of(share)
    bright = 0.299 * red + 0.587 * green + 0.114 * blue > 120
    return Style(bgcolor=f"rgb({red},{green},{blue})", color="grey0" if bright else "grey93")


def thinned(items: Sequence[T], number: int) -> list[T]:
    """At most `number` of them, evenly spaced, first and last kept."""
    if len(items) <= number:
        return list(items)
    if number < 2:
        return list(items[-1:])
    step = (len(items) - 1) / (number - 1)
    return [items[round(i * step)] for i in range(number)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Columns:
    """One suite's share of the table."""

    suite: str
    levels: Sequence[int]
    width: int
    warm_up_end: int | None

    def is_seen(self, level: int) -> bool:
        return self.warm_up_end is not None and level <= self.warm_up_end

    @property
    def divider(self) -> int | None:
        """The first held-out level, when seen ones stand before it."""
        held_out = [level for level in self.levels if not self.is_seen(level)]
        return held_out[0] if held_out and len(held_out) < len(self.levels) else None

    @property
    def total_width(self) -> int:
        return len(self.levels) * self.width + (self.divider is not None)

    def title(self) -> Text:
        title = Text(self.suite, style="bold")
        if self.width == 3:
            title.append("  ● 100 %", style="dim")
        title.truncate(self.total_width, overflow="ellipsis", pad=True)
        return title

    def header(self) -> Text:
        header = Text()
        for level in self.levels:
            header.append(" " * (level == self.divider))
            header.append(
                _cell(str(level), self.width), style="dim" if self.is_seen(level) else "bold"
            )
        return header

    def row(self, evaluation: Evaluation) -> Text:
        accuracies = {s.level: s.accuracy for s in evaluation.scores if s.suite == self.suite}
        row = Text()
        for level in self.levels:
            row.append(" " * (level == self.divider))
            if level not in accuracies:
                row.append(" " * self.width)
                continue
            percent = _percent(accuracies[level])
            style = heat_style(accuracies[level])
            row.append(
                _cell(percent if self.width > 3 else percent.replace("100", "●"), self.width), style
            )
        return row


class HeatTable:
    """Held-out accuracy in percent: up to `rows` versions, the first and the newest among them;
    one block per suite, side by side where they fit."""

    def __init__(self, progress: Progress, rows: int = 6) -> None:
        self._progress = progress
        self._rows = rows

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        evaluations = thinned(list(self._progress.evaluations.values()), self._rows)
        if not evaluations:
            yield Text("no version was evaluated yet", style="dim")
            return
        if not any(evaluation.scores for evaluation in evaluations):
            yield Text("no suite was evaluated yet", style="dim")
            return
        width = options.max_width - 1
        held_out = self._progress.held_out_levels
        blocks = _blocks(evaluations, held_out.warm_up_end, width)
        for number, block in enumerate(blocks):
            yield _line(Text(), [column.title() for column in block], Text())
            heads = [column.header() for column in block]
            mean = Text(f"{'held out':>{_MEAN_WIDTH}}" if number == 0 else "", style="dim")
            yield _line(Text("version", style="dim"), heads, mean)
            for evaluation in evaluations:
                cells = [column.row(evaluation) for column in block]
                share = held_out.held_out(evaluation)
                shown = "–" if share is None else f"{share:.1%}"
                mean = Text(f"{shown:>{_MEAN_WIDTH}}", style="bold")
                mean = mean if number == 0 else Text()
                yield _line(Text(f"{evaluation.weights_version:>6} "), cells, mean)


def _blocks(
    evaluations: Sequence[Evaluation], warm_up_end: int | None, width: int
) -> list[list[_Columns]]:
    """All suites side by side if they fit, else one below the other, levels left out if need be."""
    levels: dict[str, set[int]] = {}
    for evaluation in evaluations:
        for score in evaluation.scores:
            levels.setdefault(score.suite, set()).add(score.level)
    room = width - _VERSION_WIDTH - _MEAN_WIDTH - 1

    def columns(suite: str, cell: int) -> _Columns:
        shown = thinned(sorted(levels[suite]), max(1, (room - 1) // cell))
        return _Columns(suite=suite, levels=shown, width=cell, warm_up_end=warm_up_end)

    num_levels = sum(len(each) for each in levels.values())
    gaps = len(_GAP) * (len(levels) - 1) + len(levels)
    for cell in (5, 4):
        if num_levels * cell + gaps <= room:
            return [[columns(suite, cell) for suite in levels]]
    longest = max(len(each) for each in levels.values())
    cell = 4 if longest * 4 + 1 <= room else 3
    return [[columns(suite, cell)] for suite in levels]


def _line(label: Text, cells: Sequence[Text], mean: Text) -> Text:
    label.truncate(_VERSION_WIDTH, pad=True)
    return Text.assemble(label, " ", Text(_GAP).join(cells), mean, no_wrap=True)


def _cell(text: str, width: int) -> str:
    """Right-aligned, a space kept on the right where there is room."""
    return f"{text:>{width - 1}} "


def _percent(share: float) -> str:
    """Whole percent, with 100 and 0 only for all and nothing."""
    percent = round(share * 100)
    if percent == 100 and share < 1.0:
        percent = 99
    if percent == 0 and share > 0.0:
        percent = 1
    return str(percent)
