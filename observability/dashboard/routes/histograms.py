"""Histograms of what was judged and learned, and how much came when."""

from collections.abc import Iterable
from typing import Any

from observability.dashboard.asked import iso
from observability.dashboard.index.learned import BINS
from observability.dashboard.index.seen import seen
from observability.dashboard.places import Place
from observability.dashboard.runs import Run

_INTERVALS = 120


def success(run: Run, place: Place) -> dict[str, Any]:
    """How many of the groups that were judged had which share right."""
    table, values = seen(place)
    rows = run.watched.store.rows(
        f"WITH {table} SELECT min({BINS - 1}, CAST(correct * {BINS}.0 / counted AS INTEGER)), "
        "count(*) FROM seen WHERE counted > 0 GROUP BY 1",
        values,
    )
    counts = [0] * BINS
    for index, number in rows:
        counts[index] = number
    return {"edges": [index / BINS for index in range(BINS + 1)], "counts": counts}


def staleness(rows: Iterable[dict[str, Any]]) -> dict[str, Any]:
    found: dict[int, int] = {}
    for row in rows:
        for age, number in row["learned"].get("stale", {}).items():
            found[int(age)] = found.get(int(age), 0) + number
    most = max(found, default=0)
    return {"edges": list(range(most + 2)), "counts": [found.get(at, 0) for at in range(most + 1)]}


def rates(run: Run, place: Place) -> dict[str, Any]:
    table, values = seen(place)
    rows = run.watched.store.rows(
        f"WITH {table}, span AS (SELECT min(time) AS first, "
        f"max(1e-3, (max(coalesce(jtime, atime, time)) - min(time)) / {_INTERVALS}.0) AS width "
        "FROM seen), "
        "said AS (SELECT 'tasks' AS what, time AS at, 1 AS n FROM seen UNION ALL "
        "SELECT 'attempts', atime, 1 FROM seen WHERE atime IS NOT NULL UNION ALL "
        "SELECT 'judgments', jtime, 1 FROM seen WHERE jtime IS NOT NULL UNION ALL "
        "SELECT 'tokens', jtime, tokens FROM seen WHERE jtime IS NOT NULL) "
        f"SELECT what, max(0, min({_INTERVALS - 1}, CAST((at - first) / width AS INTEGER))), "
        "sum(n) / width, first, width FROM said, span WHERE at IS NOT NULL GROUP BY 1, 2",
        values,
    )
    if not rows:
        return {"time": [], "tasks": [], "attempts": [], "judgments": [], "tokens": []}
    first, width = rows[0][3], rows[0][4]
    found: dict[str, Any] = {
        what: [0.0] * _INTERVALS for what in ("tasks", "attempts", "judgments", "tokens")
    }
    for what, index, number, _, _ in rows:
        found[what][index] = number
    return {"time": [iso(first + index * width) for index in range(_INTERVALS)]} | found
