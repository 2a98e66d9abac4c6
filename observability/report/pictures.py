"""The pictures of a report, as PNG. Knows `Progress`; how to draw is `canvas`'s."""

from collections.abc import Callable, Sequence
from math import isfinite
from typing import Any

from bus.events import Evaluation
from observability.progress.progress import Progress
from observability.report import canvas

MAX_PANELS = 8
_GAP = float("nan")


def draw(progress: Progress, palette: canvas.Palette = canvas.LIGHT) -> dict[str, bytes]:
    """PNG bytes by name: accuracy, quantities, curriculum, throughput, staleness; those that have
    data."""
    painters: dict[str, Callable[[Progress, canvas.Palette], Any | None]] = {
        "accuracy": _accuracy,
        "quantities": _quantities,
        "curriculum": _curriculum,
        "throughput": _throughput,
        "staleness": _staleness,
    }
    pictures = {}
    for name, paint in painters.items():
        with canvas.style(palette):
            figure = paint(progress, palette)
            if figure is not None:
                pictures[name] = canvas.png(figure)
    return pictures


def _accuracy(progress: Progress, palette: canvas.Palette) -> Any | None:
    evaluations = [each for each in progress.evaluations.values() if each.scores]
    if not evaluations:
        return None
    versions = [evaluation.weights_version for evaluation in evaluations]
    rows: dict[str, dict[int, list[float]]] = {}
    for place, evaluation in enumerate(evaluations):
        for score in evaluation.scores:
            levels = rows.setdefault(score.suite, {})
            row = levels.setdefault(score.level, [_GAP] * len(evaluations))
            row[place] = score.accuracy
    suites = sorted(rows)[:MAX_PANELS]
    figure, axes = canvas.figure([2.9, *(0.9 + 0.26 * len(rows[suite]) for suite in suites)])
    _means(axes[0], progress, evaluations, palette)
    end = progress.held_out_levels.warm_up_end
    for axis, suite in zip(axes[1:], suites, strict=True):
        canvas.heat(figure, axis, versions, rows[suite], palette)
        canvas.boundary(axis, sorted(rows[suite]), end, palette)
        axis.set_title(f"{suite}: accuracy by level")
    axes[-1].set_xlabel("version")
    return figure


def _means(
    axis: Any, progress: Progress, evaluations: Sequence[Evaluation], palette: canvas.Palette
) -> None:
    """The held-out mean with its interval, and the warm-up's where any of its levels is asked."""
    known = progress.held_out_levels
    versions = [evaluation.weights_version for evaluation in evaluations]
    held_out = [_or_gap(known.held_out(each)) for each in evaluations]
    seen = [_or_gap(known.seen(each)) for each in evaluations]
    intervals = [
        known.interval(each) or (mean, mean)
        for each, mean in zip(evaluations, held_out, strict=True)
    ]
    low, high = [low for low, _ in intervals], [high for _, high in intervals]
    marker = canvas.marker(versions)
    if any(map(isfinite, held_out)):
        colour = palette.first
        axis.fill_between(versions, low, high, color=colour, alpha=0.22, linewidth=0)
        axis.plot(versions, held_out, color=colour, marker=marker, markersize=4, label="held out")
    if any(map(isfinite, seen)):
        dashed = {"linestyle": "--", "linewidth": 1.4, "color": palette.second}
        axis.plot(versions, seen, marker=marker, markersize=3, label="warm-up", **dashed)
    axis.set_ylim(-0.02, 1.04)
    canvas.percent_axis(axis)
    axis.grid(axis="y")
    axis.legend(loc="lower right", ncols=2)
    axis.set_title("Mean accuracy (band: 95 % interval)")


def _quantities(progress: Progress, palette: canvas.Palette) -> Any | None:
    """One panel each: they have no unit in common."""
    names = list(progress.quantities)[:MAX_PANELS]
    if not names:
        return None
    figure, axes = canvas.figure([2.0] * len(names))
    for axis, name in zip(axes, names, strict=True):
        points = [
            (version, evaluation.quantities[name])
            for version, evaluation in progress.evaluations.items()
            if name in evaluation.quantities
        ]
        versions, values = (list(column) for column in zip(*points, strict=True))
        marker = canvas.marker(points)
        axis.plot(versions, values, color=palette.first, marker=marker, markersize=4)
        axis.set_ylim(min(0.0, *values), max(0.0, *values) * 1.12 or 1.0)
        axis.grid(axis="y")
        axis.set_title(name.replace("_", " "))
        canvas.whole_numbers(axis.xaxis)
    axes[-1].set_xlabel("version")
    return figure


def _curriculum(progress: Progress, palette: canvas.Palette) -> Any | None:
    curricula = list(progress.curricula.values())
    families = sorted({family for each in curricula for family in each.top})
    if not families:
        return None
    versions = [curriculum.weights_version for curriculum in curricula]
    rows: dict[str, dict[int, list[float]]] = {family: {} for family in families}
    for place, curriculum in enumerate(curricula):
        for key, rate in curriculum.success.items():
            family, _, level = key.rpartition("/")
            if level.isdigit() and int(level) <= curriculum.top.get(family, -1):
                row = rows[family].setdefault(int(level), [_GAP] * len(curricula))
                row[place] = rate
    drawn = [family for family in families if rows[family]][:MAX_PANELS]
    if not drawn:
        return None
    figure, axes = canvas.figure([max(2.0, 0.9 + 0.26 * len(rows[family])) for family in drawn])
    for axis, family in zip(axes, drawn, strict=True):
        canvas.heat(figure, axis, versions, rows[family], palette)
        levels = sorted(rows[family])
        tops = [_row_of(levels, each.top.get(family)) + 0.5 for each in curricula]
        edges = canvas.edges(versions)
        axis.stairs(tops, edges, color=palette.second, linewidth=2.4, baseline=None)
        axis.set_ylim(-0.5, len(levels) - 0.4)
        axis.set_title(f"{family}: success by level, and the frontier")
    axes[-1].set_xlabel("version")
    return figure


def _throughput(progress: Progress, palette: canvas.Palette) -> Any | None:
    timed = [version for version in progress.versions.values() if version.seconds]
    if not timed:
        return None
    minutes = [version.evolved_seconds / 60 for version in timed]
    figure, axes = canvas.figure([2.5, 2.5])
    window = max(1, min(20, len(timed) // 6))
    seconds = [version.seconds or 0.0 for version in timed]
    tokens = [version.metric("tokens") or 0.0 for version in timed]
    for axis, amounts, colour, title in (
        (axes[0], tokens, palette.first, "Sampled tokens per second"),
        (axes[1], [60.0] * len(timed), palette.second, "Versions per minute"),
    ):
        raw = [amount / each for amount, each in zip(amounts, seconds, strict=True)]
        means = zip(canvas.smooth(amounts, window), canvas.smooth(seconds, window), strict=True)
        smooth = [amount / each for amount, each in means]
        axis.plot(minutes, raw, color=colour, alpha=0.3, linewidth=1.0)
        axis.plot(minutes, smooth, color=colour, marker="o" if len(raw) < 3 else "")
        axis.set_ylim(0, max([*raw, 1.0]) * 1.12)
        axis.set_xlim(left=0)
        axis.yaxis.set_major_formatter("{x:,.0f}")
        axis.grid(axis="y")
        axis.set_title(title + (f" (thick: over {window} versions)" if window > 1 else ""))
    axes[-1].set_xlabel("minutes of evolution")
    return figure


def _staleness(progress: Progress, palette: canvas.Palette) -> Any | None:
    told = [
        (version.number, mean, most)
        for version in progress.versions.values()
        if (mean := version.metric("staleness_mean")) is not None
        and (most := version.metric("staleness_max")) is not None
    ]
    if not told:
        return None
    numbers, means, highest = (list(column) for column in zip(*told, strict=True))
    window = max(1, min(20, len(told) // 20))
    figure, (axis,) = canvas.figure([2.7])
    size = 4 if len(told) <= 2 * canvas.MARKED else 2
    axis.plot(numbers, highest, "o", color=palette.second, markersize=size, alpha=0.7, label="max")
    smooth = canvas.smooth(means, window)
    axis.plot(numbers, means, color=palette.first, linewidth=1.0, alpha=0.3)
    axis.plot(
        numbers, smooth, color=palette.first, marker="o" if len(told) < 3 else "", label="mean"
    )
    axis.set_ylim(0, max([*highest, 1.0]) * 1.3)
    axis.grid(axis="y")
    axis.legend(loc="upper right", ncols=2)
    axis.set_title("Age of what was learned from, in versions")
    canvas.whole_numbers(axis.xaxis)
    axis.set_xlabel("version")
    return figure


def _or_gap(share: float | None) -> float:
    return _GAP if share is None else share


def _row_of(levels: Sequence[int], level: int | None) -> float:
    return _GAP if level is None else sum(each <= level for each in levels) - 1.0
