"""Writes docs/metrics.md, the alerts of Prometheus and the dashboards of Grafana, all from the one
registry of metrics.

    python deploy/generate.py
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from observability.metrics.alerts import ALERTS, Alert
from observability.metrics.panels import DASHBOARDS, Panel, named
from observability.metrics.registry import SECTIONS, Metric

HERE = Path(__file__).parent
DOCS = HERE.parent / "docs" / "metrics.md"
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
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


def rules() -> str:
    """The alerts as Prometheus reads them."""
    head = "# Written by deploy/generate.py from observability/metrics/alerts.py.\n"
    return head + "groups:\n- name: evolvent\n  rules:\n" + "".join(map(_rule, ALERTS))


def _rule(alert: Alert) -> str:
    return f"""  - alert: {alert.name}
    expr: {json.dumps(alert.when)}
    for: {alert.lasts}
    labels: {{severity: {alert.severity}}}
    annotations: {{summary: {json.dumps(alert.says)}, runbook: "docs/metrics.md#alerts"}}
"""


def dashboard(uid: str, title: str, panels: Sequence[Panel]) -> str:
    """A dashboard as Grafana imports it: two panels a row."""
    shown = [_panel(panel, place) for place, panel in enumerate(panels)]
    run = {
        "name": "run",
        "type": "query",
        "datasource": SOURCE,
        "query": f"label_values({named('evolvent.versions')}, run)",
        "refresh": 2,
        "multi": True,
        "includeAll": True,
        "current": {"text": "All", "value": "$__all"},
    }
    source = {"name": "datasource", "type": "datasource", "query": "prometheus"}
    versions = {
        "name": "decisions",
        "enable": True,
        "datasource": SOURCE,
        "expr": f'changes({named("evolvent.gate.decisions")}{{run=~"$run"}}[1m]) > 0',
        "titleFormat": "{{decision}}",
        "iconColor": "orange",
    }
    whole = {
        "uid": uid,
        "title": title,
        "tags": ["evolvent"],
        "schemaVersion": 39,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [source, run]},
        "annotations": {"list": [versions]},
        "links": [{"type": "dashboards", "title": "evolvent", "tags": ["evolvent"]}],
        "panels": shown,
    }
    return json.dumps(whole, indent=1) + "\n"


def _panel(panel: Panel, place: int) -> dict[str, Any]:
    targets = [
        {"refId": chr(65 + index), "expr": expr, "legendFormat": legend, "exemplar": True}
        for index, (legend, expr) in enumerate(panel.shows.items())
    ]
    return {
        "type": "timeseries",
        "title": panel.title,
        "description": panel.says,
        "datasource": SOURCE,
        "gridPos": {"x": 12 * (place % 2), "y": 8 * (place // 2), "w": 12, "h": 8},
        "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
        "targets": targets,
    }


def generated() -> dict[Path, str]:
    """What each file has to be."""
    files = {DOCS: docs(), HERE / "prometheus" / "rules.yml": rules()}
    for uid, (title, panels) in DASHBOARDS.items():
        files[HERE / "grafana" / "dashboards" / f"{uid}.json"] = dashboard(uid, title, panels)
    return files


if __name__ == "__main__":
    for path, text in generated().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
