"""The lineage of a version as a picture (SVG): its judgments flow from the versions that granted
their tasks, by level, into it; below stands its path to the root. Knows no log.
"""

from collections import Counter
from typing import TypeVar
from xml.sax.saxutils import escape

from observability.lineage.lineage import Lineage, steps_shown

_WIDTH, _HEIGHT, _PATH = 900, 420, 90
_LEFT, _MIDDLE, _RIGHT, _BOX = 190, 470, 740, 14
_TOP, _GAP = 60, 10
_MOST_STEPS = 9
_STYLE = (
    "text{font:13px sans-serif;fill:#1c2330}.faint{fill:#667085}"
    ".box{fill:#0072b2}.level{fill:#d55e00}.flow{fill:#0072b2;opacity:.18}"
    "line{stroke:#667085}@media(prefers-color-scheme:dark){text{fill:#e6e9ef}}"
)

Named = TypeVar("Named", int, tuple[str, int])
Band = tuple[float, float]
"""Top and bottom of a box."""


def drawn(found: Lineage) -> str:
    """The picture as one SVG document."""
    flows = Counter((source.granted_by, (source.family, source.level)) for source in found.sources)
    versions = _stacked(Counter(source.granted_by for source in found.sources))
    levels = _stacked(Counter((source.family, source.level) for source in found.sources))
    right = Counter((s.family, s.level) for s in found.sources for _ in range(s.correct))
    samples = Counter((s.family, s.level) for s in found.sources for _ in range(s.counted))
    parts = [*_flows(flows, versions, levels), *_into(levels)]
    for version, band in versions.items():
        label = f"granted by version {version}"
        parts += [_box(_LEFT, band, "box"), _text(_LEFT - 8, band, label, "end")]
    for level, band in levels.items():
        said = f"{level[0]} {level[1]}: {right[level]} of {samples[level]} right"
        parts += [_box(_MIDDLE, band, "level"), _text(_MIDDLE + _BOX + 6, band, said, "start")]
    whole = (_TOP, _HEIGHT - _TOP)
    label = f"version {found.version}"
    parts += [_box(_RIGHT, whole, "box"), _text(_RIGHT + _BOX + 8, whole, label, "start")]
    title = f"What version {found.version} of {found.run} learned from"
    height = _HEIGHT + _PATH
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        f'width="{_WIDTH}" height="{height}"><title>{escape(title)}</title>'
        f'<style>{_STYLE}</style><text x="20" y="28">{escape(title)}: '
        f"{len(found.sources):,} judgments</text>{''.join(parts)}{_path(found)}</svg>\n"
    )


def _stacked(counts: Counter[Named]) -> dict[Named, Band]:
    """A box for each name, in order, as high as its count."""
    names = sorted(counts)
    room = _HEIGHT - 2 * _TOP - _GAP * max(len(names) - 1, 0)
    share, top = max(room, 1) / max(counts.total(), 1), float(_TOP)
    found = {}
    for name in names:
        found[name] = (top, top + counts[name] * share)
        top = found[name][1] + _GAP
    return found


def _flows(
    flows: Counter[tuple[int, tuple[str, int]]],
    versions: dict[int, Band],
    levels: dict[tuple[str, int], Band],
) -> list[str]:
    """Bands from the versions to the levels, as wide as their counts."""
    left = {name: band[0] for name, band in versions.items()}
    middle = {name: band[0] for name, band in levels.items()}
    totals = Counter[tuple[str, object]]()
    for (version, level), count in flows.items():
        totals["version", version] += count
        totals["level", level] += count
    parts = []
    for (version, level), count in sorted(flows.items()):
        height = (versions[version][1] - versions[version][0]) * count / totals["version", version]
        other = (levels[level][1] - levels[level][0]) * count / totals["level", level]
        start = (left[version], left[version] + height)
        end = (middle[level], middle[level] + other)
        parts.append(_flow(_LEFT + _BOX, start, _MIDDLE, end))
        left[version], middle[level] = start[1], end[1]
    return parts


def _into(levels: dict[tuple[str, int], Band]) -> list[str]:
    """Bands from the levels into the version."""
    whole = sum(bottom - top for top, bottom in levels.values()) or 1.0
    room, top, parts = _HEIGHT - 2 * _TOP, float(_TOP), []
    for band in levels.values():
        height = (band[1] - band[0]) / whole * room
        parts.append(_flow(_MIDDLE + _BOX, band, _RIGHT, (top, top + height)))
        top += height
    return parts


def _flow(x: float, start: Band, until: float, end: Band) -> str:
    half = (x + until) / 2
    return (
        f'<path class="flow" d="M{x:.1f} {start[0]:.1f}C{half:.1f} {start[0]:.1f} {half:.1f} '
        f"{end[0]:.1f} {until:.1f} {end[0]:.1f}V{end[1]:.1f}C{half:.1f} {end[1]:.1f} {half:.1f} "
        f'{start[1]:.1f} {x:.1f} {start[1]:.1f}Z"/>'
    )


def _box(x: float, band: Band, kind: str) -> str:
    height = max(band[1] - band[0], 1.0)
    return f'<rect class="{kind}" x="{x}" y="{band[0]:.1f}" width="{_BOX}" height="{height:.1f}"/>'


def _text(x: float, band: Band, said: str, anchor: str) -> str:
    y = (band[0] + band[1]) / 2 + 4
    return f'<text x="{x}" y="{y:.1f}" text-anchor="{anchor}">{escape(said)}</text>'


def _path(found: Lineage) -> str:
    """Its forebears from left to right, the root first."""
    steps = list(reversed(steps_shown(found.path, _MOST_STEPS)))
    y, gap = _HEIGHT + _PATH / 2, (_WIDTH - 120) / max(len(steps) - 1, 1)
    parts = [
        f'<text class="faint" x="20" y="{y - 34}">its versions, and from how many judgments each '
        "learned</text>",
        f'<line x1="60" y1="{y}" x2="{60 + gap * (len(steps) - 1):.1f}" y2="{y}"/>',
    ]
    for place, step in enumerate(steps):
        x = 60 + gap * place
        if isinstance(step, int):
            above, below = f"… {step:,} …", ""
        else:
            above, below = str(step.version), f"{step.judgments:,}" * bool(place)
        parts.append(f'<circle class="box" cx="{x:.1f}" cy="{y}" r="4"/>')
        parts.append(f'<text x="{x:.1f}" y="{y - 10}" text-anchor="middle">{above}</text>')
        parts.append(
            f'<text class="faint" x="{x:.1f}" y="{y + 20}" text-anchor="middle">{below}</text>'
        )
    return "".join(parts)
