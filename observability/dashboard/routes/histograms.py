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
    """Tasks, attempts, judgments and tokens a second, over equal parts of the time of the run."""
    table, _ = seen(place)
    rows = run.watched.store.rows
    ends = "min(time), max(time), max(atime), max(jtime)"
    [(first, *lasts)] = rows(f"WITH {table} SELECT {ends} FROM seen")
    found: dict[str, Any] = {"time": [], "tasks": [], "attempts": [], "judgments": [], "tokens": []}
    if first is None:
        return found
    width = max(1e-3, (max(last or first for last in lasts) - first) / _INTERVALS)
    found = {name: [0.0] * _INTERVALS for name in found}
    found["time"] = [iso(first + index * width) for index in range(_INTERVALS)]
    for column, name in (("time", "tasks"), ("atime", "attempts"), ("jtime", "judgments")):
        said = rows(
            f"WITH {table} SELECT CAST(({column} - ?1) / ?2 AS INTEGER), count(*), sum(tokens) "
            f"FROM seen WHERE {column} IS NOT NULL GROUP BY 1",
            (first, width),
        )
        for index, number, tokens in said:
            at = max(0, min(_INTERVALS - 1, index))
            found[name][at] += number / width
            if name == "judgments":
                found["tokens"][at] += (tokens or 0) / width
    return found
