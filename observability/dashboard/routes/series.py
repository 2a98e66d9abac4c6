"""Columns by version, for charts; histograms; rates."""

import json
from collections.abc import Sequence
from typing import Any

from observability.dashboard.asked import iso
from observability.dashboard.places import Place
from observability.dashboard.routes.histograms import rates, staleness, success
from observability.dashboard.routing import AT, Ask, Param, Route
from observability.dashboard.runs import Run
from observability.progress.held_out import HeldOutLevels

LEARNED = (
    "success",
    "learnability",
    "zero_variance",
    "unique_tasks",
    "unique_answers",
    "pass_at_1",
    "pass_at_k",
    "pass_gap",
    "entropy",
    "judge_agreement",
)
METRICS = (
    "reward",
    "kl",
    "mismatch_kl",
    "clip_ratio",
    "grad_norm",
    "loss",
    "staleness_mean",
    "staleness_max",
    "tokens",
    "samples",
    "seconds_wait",
    "seconds_train",
)
HELD_OUT = ("held_out", "held_out_low", "held_out_high", "seen")
_POINTS, _MOST_POINTS = 1000, 5000
_COLUMNS = "off, number, id, time, trained, dropped, metrics, learned"


def series(ask: Ask) -> dict[str, Any]:
    run, place, words = ask.run, ask.place, ask.words
    store = run.watched.store
    points = words.whole("points", 2, _MOST_POINTS) or _POINTS
    end = place.end("weights")
    offs = [
        off
        for (off,) in store.rows(
            "SELECT off FROM version WHERE ?1 IS NULL OR off < ?1 ORDER BY off", (end,)
        )
    ]
    evaluations = evaluations_of(run, place)
    chosen = _chosen(offs, {body["weights"] for body in evaluations}, run, points)
    rows = _versions(run, offs, chosen)
    wanted = words.text("columns")
    return {
        "version": [row["number"] for row in rows],
        "time": [iso(row["time"]) for row in rows],
        "step": [row["rank"] + 1 for row in rows],
        "total": len(offs),
        "downsampled": len(rows) < len(offs),
        "columns": _columns(run, rows, evaluations, wanted.split(",") if wanted else None),
        "metrics": sorted({name for row in rows for name in row["metrics"]}),
        "levels": _levels(rows, evaluations, levels_of(run)),
        "judges": _judges(rows),
        "learnability_histogram": ask.remembered("success", lambda: success(run, place)),
        "staleness_histogram": staleness(rows),
        "rates": ask.remembered("rates", lambda: rates(run, place)),
        "index": run.watched.indexed,
    }


def levels_of(run: Run) -> HeldOutLevels:
    """Which levels are held out, as the fold knows it."""
    return run.watched.state(None, lambda state: state.known.held_out_levels)


def evaluations_of(run: Run, place: Place) -> list[dict[str, Any]]:
    """Every evaluation up to a position, in the order of the log."""
    rows = run.watched.store.rows(
        "SELECT body, off FROM fact WHERE topic = 'evaluations' AND (?1 IS NULL OR off < ?1) "
        "ORDER BY off",
        (place.end("evaluations"),),
    )
    return [json.loads(body) | {"off": off} for body, off in rows]


def _chosen(offs: Sequence[int], evaluated: set[str], run: Run, points: int) -> set[int]:
    """All, or every so many, the first and the last, and those that were evaluated."""
    if len(offs) <= points:
        return set(offs)
    stride = -(-len(offs) // points)
    kept = {*offs[::stride], offs[-1]}
    if len(evaluated) <= points:
        kept |= {
            off
            for off, event_id in run.watched.store.rows("SELECT off, id FROM version")
            if event_id in evaluated
        }
    return kept & set(offs)


def _versions(run: Run, offs: Sequence[int], chosen: set[int]) -> list[dict[str, Any]]:
    ranks = {off: rank for rank, off in enumerate(offs)}
    whole = len(chosen) == len(offs)
    last = offs[-1] if offs else -1
    sql = f"SELECT {_COLUMNS} FROM version WHERE off <= ? ORDER BY off"
    values: list[Any] = [last]
    if not whole:
        # The numbers of rows are ours: no text of anybody goes into the question.
        places = ",".join(map(str, sorted(chosen)))
        sql = f"SELECT {_COLUMNS} FROM version WHERE off IN ({places}) ORDER BY off"
        values = []
    names = _COLUMNS.split(", ")
    found, before = [], None
    for values_of in run.watched.store.rows(sql, values):
        row: dict[str, Any] = dict(zip(names, values_of, strict=True))
        row["metrics"] = json.loads(row["metrics"])
        row["learned"] = json.loads(row["learned"] or "{}")
        row["rank"] = ranks[row["off"]]
        row["seconds"] = None if before is None else max(0.0, row["time"] - before["time"])
        row["since"] = 1 if before is None else row["rank"] - before["rank"]
        found.append(row)
        before = row
    return found


def _columns(
    run: Run,
    rows: list[dict[str, Any]],
    evaluations: list[dict[str, Any]],
    wanted: Sequence[str] | None,
) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {name: [] for name in (*HELD_OUT, *LEARNED)}
    levels, by_weights = levels_of(run), {body["weights"]: body for body in evaluations}
    for row in rows:
        for name, value in held_out(by_weights.get(row["id"]), levels).items():
            found[name].append(value)
        for name in LEARNED:
            found[name].append(row["learned"].get(name))
    names = dict.fromkeys((*METRICS, *(wanted or ())))
    for name in names:
        if name not in found:
            found[name] = [row["metrics"].get(name) for row in rows]
    for name in ("trained", "dropped"):
        found[name] = [row[name] for row in rows]
    found["seconds"] = [_per(row["seconds"], row["since"]) for row in rows]
    found["tokens_per_second"] = [_speed(row, row["metrics"].get("tokens")) for row in rows]
    found["attempts_per_second"] = [_speed(row, row["learned"].get("groups")) for row in rows]
    found["tasks_per_second"] = [_speed(row, row["trained"] + row["dropped"]) for row in rows]
    found |= _said(run, rows)
    return found if wanted is None else {name: found[name] for name in wanted if name in found}


def held_out(body: dict[str, Any] | None, levels: HeldOutLevels) -> dict[str, float | None]:
    """The two means of an evaluation as the fold has them, and the interval of the first."""
    if body is None:
        return dict.fromkeys(HELD_OUT)
    from bus.events import Evaluation
    from observability.progress.held_out import measured

    evaluation = measured(Evaluation.model_validate(body))
    low, high = levels.interval(evaluation) or (None, None)
    means = levels.held_out(evaluation), low, high, levels.seen(evaluation)
    return dict(zip(HELD_OUT, means, strict=True))


def _per(value: float | None, number: int) -> float | None:
    return None if value is None else value / max(1, number)


def _speed(row: dict[str, Any], what: float | None) -> float | None:
    seconds = _per(row["seconds"], row["since"])
    return what / seconds if seconds and what is not None else None


def _said(run: Run, rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """What the proposer and dead letters amount to by the time of a version."""
    curricula = {
        version: json.loads(body)
        for version, body in run.watched.store.rows(
            "SELECT version, body FROM fact WHERE topic = 'curricula' ORDER BY off"
        )
    }
    dead = [
        time
        for (time,) in run.watched.store.rows(
            "SELECT time FROM fact WHERE topic LIKE '%.dead' ORDER BY time"
        )
    ]
    from bisect import bisect_right

    return {
        "dead_letters": [bisect_right(dead, row["time"]) for row in rows],
        "proposed": [curricula.get(row["number"], {}).get("proposed") for row in rows],
        "refused": [curricula.get(row["number"], {}).get("refused") for row in rows],
    }


def _levels(
    rows: list[dict[str, Any]], evaluations: list[dict[str, Any]], levels: HeldOutLevels
) -> dict[str, Any]:
    by_weights = {body["weights"]: body for body in evaluations}
    found: dict[str, dict[str, Any]] = {}
    end = levels.warm_up_end
    for index, row in enumerate(rows):
        scores = by_weights.get(row["id"], {}).get("scores", ())
        for score in scores:
            one = _level(found, score["suite"], score["level"], len(rows), end)
            one["held_out"][index] = score["correct"] / score["total"] if score["total"] else None
        for name, (tasks, samples, correct) in row["learned"].get("levels", {}).items():
            family, _, level = name.rpartition("/")
            one = _level(found, family, int(level), len(rows), end)
            one["success"][index] = correct / samples if samples else None
            one["tasks"][index] = tasks
    return {name: found[name] for name in sorted(found, key=_natural)}


def _level(
    found: dict[str, dict[str, Any]], suite: str, level: int, number: int, end: int | None
) -> dict[str, Any]:
    name = f"{suite}/{level}"
    if name not in found:
        found[name] = {kind: [None] * number for kind in ("held_out", "success", "tasks")}
        found[name] |= {"suite": suite, "level": level, "is_held_out": end is None or level > end}
    return found[name]


def _natural(name: str) -> tuple[str, int]:
    suite, _, level = name.rpartition("/")
    return suite, int(level)


def _judges(rows: list[dict[str, Any]]) -> dict[str, Any]:
    names = dict.fromkeys(name for row in rows for name in row["learned"].get("judges", {}))
    found: dict[str, dict[str, list[Any]]] = {}
    for name in names:
        said = [row["learned"].get("judges", {}).get(name) for row in rows]
        found[name] = {
            "reward": [one and one[1] for one in said],
            "low": [one and one[1] - one[2] for one in said],
            "high": [one and one[1] + one[2] for one in said],
            "verdicts": [one and one[0] for one in said],
        }
    return found


ROUTES = (
    Route(
        path="/runs/{run}/series",
        about="Columns by version for charts, down-sampled beyond `points`; histograms and rates.",
        answer=series,
        params=(
            AT,
            Param(name="points", about="So many versions at most, 1000.", kind="integer"),
            Param(name="columns", about="Only these, by name, and any metric of the trainer."),
        ),
    ),
)
