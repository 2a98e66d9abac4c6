"""How pictures are drawn with matplotlib: colours, panels, heat maps, axes. Knows no run; imports
matplotlib only when something is drawn.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from itertools import pairwise
from math import isfinite
from typing import Any

_WIDTH_INCHES = 9.0
_DOTS_PER_INCH = 110
_ANNOTATED_CELLS = 160
MARKED = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Palette:
    """Colours of one theme; `first` and `second` are Okabe and Ito's, for every kind of sight."""

    background: str
    text: str
    faint: str
    grid: str
    first: str
    second: str


LIGHT = Palette(
    background="#ffffff",
    text="#1c2330",
    faint="#667085",
    grid="#e4e7ec",
    first="#0072b2",
    second="#d55e00",
)
DARK = Palette(
    background="#171b22",
    text="#e6e9ef",
    faint="#98a2b3",
    grid="#2b323d",
    first="#56b4e9",
    second="#e69f00",
)

SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Okabe and Ito's, for lines that stand side by side on a light ground."""


@contextmanager
def style(palette: Palette) -> Iterator[None]:
    import matplotlib as mpl

    settings = {
        "font.family": "DejaVu Sans",
        "font.size": 10,
        "axes.titlesize": 11,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": False,
        "grid.color": palette.grid,
        "axes.axisbelow": True,
        "axes.edgecolor": palette.faint,
        "axes.labelcolor": palette.faint,
        "axes.titlecolor": palette.text,
        "text.color": palette.text,
        "xtick.color": palette.faint,
        "ytick.color": palette.faint,
        "figure.facecolor": palette.background,
        "axes.facecolor": palette.background,
        "savefig.facecolor": palette.background,
        "legend.frameon": False,
        "lines.linewidth": 2.0,
        "figure.constrained_layout.h_pad": 0.1,
        "figure.constrained_layout.w_pad": 0.08,
    }
    with mpl.rc_context(settings):
        yield


def figure(heights: Sequence[float], *, share_x: bool = True) -> tuple[Any, list[Any]]:
    """A figure of panels one below the other, `heights` in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH_INCHES, sum(heights)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(
        len(heights), 1, squeeze=False, sharex=share_x, height_ratios=list(heights)
    )
    return figure, [row[0] for row in axes]


def png(figure: Any) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=_DOTS_PER_INCH)
    return buffer.getvalue()


def heat(
    figure: Any, axis: Any, versions: Sequence[int], rows: dict[int, list[float]], palette: Palette
) -> None:
    """Levels upwards, versions to the right, viridis from 0 to 1; numbers where they fit."""
    levels = sorted(rows)
    borders = edges(versions)
    mesh = axis.pcolormesh(
        borders,
        [row - 0.5 for row in range(len(levels) + 1)],
        [rows[level] for level in levels],
        cmap="viridis",
        vmin=0.0,
        vmax=1.0,
    )
    axis.set_yticks(range(len(levels)), [str(level) for level in levels])
    axis.tick_params(length=0)
    axis.set_ylabel("level")
    whole_numbers(axis.xaxis)
    for side in ("left", "bottom"):
        axis.spines[side].set_visible(False)
    bar = figure.colorbar(mesh, ax=axis, pad=0.01, aspect=18, ticks=[0, 0.5, 1])
    bar.ax.set_yticklabels(["0 %", "50 %", "100 %"], fontsize=8)
    bar.outline.set_visible(False)
    if len(versions) * len(levels) <= _ANNOTATED_CELLS and len(versions) <= 20:
        for row, level in enumerate(levels):
            for place, share in enumerate(rows[level]):
                if isfinite(share):
                    middle = (borders[place] + borders[place + 1]) / 2
                    colour = "black" if share > 0.55 else "white"
                    text = f"{share * 100:.0f}"
                    axis.text(middle, row, text, color=colour, ha="center", va="center", fontsize=8)


def boundary(axis: Any, levels: Sequence[int], end: int | None, palette: Palette) -> None:
    """A line between the levels of the warm-up and those that were never shown."""
    if end is not None and levels[0] <= end < levels[-1]:
        row = sum(level <= end for level in levels) - 0.5
        axis.axhline(row, color=palette.background, linewidth=4)


def edges(versions: Sequence[int]) -> list[float]:
    """Cell borders half-way between neighbouring versions."""
    middles = [(a + b) / 2 for a, b in pairwise(versions)]
    return [versions[0] - 0.5, *middles, versions[-1] + 0.5]


def smooth(values: Sequence[float], window: int) -> list[float]:
    """Mean of the last `window` values at each place."""
    return [
        sum(values[max(0, i - window + 1) : i + 1]) / min(window, i + 1) for i in range(len(values))
    ]


def percent_axis(axis: Any) -> None:
    axis.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])


def marker(points: Sequence[Any]) -> str:
    """Few points are marked."""
    return "o" if len(points) <= MARKED else ""


def whole_numbers(axis: Any) -> None:
    """No ticks between versions."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(integer=True, nbins=12, min_n_ticks=1))
