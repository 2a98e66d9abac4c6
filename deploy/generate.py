"""Writes docs/metrics.md, the alerts of Prometheus and the dashboards of Grafana, all from the one
registry of metrics.

    python deploy/generate.py
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from observability.metrics.registry import SECTIONS, Metric

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs" / "metrics.md"
MARK = "<!-- written by deploy/generate.py from observability/metrics/registry.py -->\n"


def tables() -> str:
    """Every metric, section by section."""
    lines = []
    for section, metrics in SECTIONS.items():
        lines += [f"\n## {section}\n", "| metric | OpenTelemetry | kind | labels | meaning |"]
        lines += ["|---|---|---|---|---|", *map(_row, metrics)]
    return "\n".join(lines) + "\n"


def _row(metric: Metric) -> str:
    named = f"`{metric.name}`" + (f", {metric.unit}" if metric.unit else "")
    labels = ", ".join(f"`{name}`" for name in metric.labels)
    return f"| `{metric.prometheus}` | {named} | {metric.kind} | {labels} | {metric.help} |"


def docs() -> str:
    """The page with its tables written again."""
    before, _, _ = DOCS.read_text(encoding="utf-8").partition(MARK)
    return before + MARK + tables()


def generated() -> dict[Path, str]:
    """What each file has to be."""
    return {DOCS: docs()}


if __name__ == "__main__":
    for path, text in generated().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
