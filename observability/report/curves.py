"""Held-out accuracy of several runs in one picture, as PNG. Knows `Progress`; how to draw is
`canvas`'s."""

from collections.abc import Callable, Mapping
from typing import Any

from bus.events import Evaluation
from observability.progress.progress import Progress
from observability.report import canvas

_DASHES = ("-", "--", ":", "-.")


def curves(runs: Mapping[str, Progress]) -> bytes | None:
    """A line for each run by name, its 95 % interval as a band; below, the levels of the warm-ups.
    None where no level of any run was evaluated."""
    panels: list[tuple[str, Callable[[Progress], list[_Point]]]] = [
        ("Held out (band: 95 % interval)", _held_out),
        ("Levels of the warm-up", _seen),
    ]
    drawn = [
        (title, {name: points for name, run in runs.items() if (points := points_of(run))})
        for title, points_of in panels
    ]
    drawn = [(title, lines) for title, lines in drawn if lines]
    if not drawn:
        return None
    with canvas.style(canvas.LIGHT):
        figure, axes = canvas.figure([3.1, 2.3][: len(drawn)])
        for axis, (title, lines) in zip(axes, drawn, strict=True):
            axis.set_title(title)
            for place, name in enumerate(runs):
                if name in lines:
                    _line(axis, name, lines[name], place)
            axis.set_ylim(-0.02, 1.04)
            canvas.percent_axis(axis)
            axis.grid(axis="y")
        axes[0].legend(loc="best", ncols=1 + len(runs) // 4, fontsize=8)
        canvas.whole_numbers(axes[-1].xaxis)
        axes[-1].set_xlabel("version")
        return canvas.png(figure)


_Point = tuple[int, float, tuple[float, float]]
"""A version, a mean, and between what it lies."""


def _held_out(run: Progress) -> list[_Point]:
    known = run.held_out_levels
    return _points(run, known.held_out, known.interval)


def _seen(run: Progress) -> list[_Point]:
    return _points(run, run.held_out_levels.seen, lambda _: None)


def _points(
    run: Progress,
    mean_of: Callable[[Evaluation], float | None],
    interval_of: Callable[[Evaluation], tuple[float, float] | None],
) -> list[_Point]:
    return [
        (evaluation.weights_version, mean, interval_of(evaluation) or (mean, mean))
        for evaluation in run.evaluations.values()
        if (mean := mean_of(evaluation)) is not None
    ]


def _line(axis: Any, name: str, points: list[_Point], place: int) -> None:
    round_, hue = divmod(place, len(canvas.SERIES))
    colour, dash = canvas.SERIES[hue], _DASHES[round_ % len(_DASHES)]
    versions, means, between = zip(*points, strict=True)
    axis.fill_between(versions, *zip(*between, strict=True), color=colour, alpha=0.1, linewidth=0)
    marker = canvas.marker(points)
    axis.plot(versions, means, dash, color=colour, marker=marker, markersize=3.5, label=name)
