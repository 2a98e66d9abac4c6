"""Versions: which there are, one of them, what taught it."""

import json
from dataclasses import asdict
from typing import Any

from bus.events import Weights
from bus.log import Log
from observability.dashboard.asked import Wrong, cursor_of, iso
from observability.dashboard.places import Place
from observability.dashboard.routes.series import evaluations_of, held_out, levels_of
from observability.dashboard.routing import AT, CURSOR, LIMIT, Ask, Param, Route
from observability.dashboard.runs import Run
from observability.lineage.lineage import UnknownEvent, lineage

_COLUMNS = (
    "off, number, id, parent, parent_id, policy, time, trained, dropped, format, metrics, learned"
)
_PATH = 200
_OWN = ("samples", "tokens", "reward", "staleness_mean")


def listed(ask: Ask) -> dict[str, Any]:
    run, place, words = ask.run, ask.place, ask.words
    newest = words.choice("order", "newest", "oldest") != "oldest"
    end, store = place.end("weights"), run.watched.store
    [(total,)] = store.rows("SELECT count(*) FROM version WHERE ?1 IS NULL OR off < ?1", (end,))
    at = words.start if words.cursor else None
    beyond, order = ("<", "DESC") if newest else (">", "ASC")
    rows = store.rows(
        f"SELECT {_COLUMNS} FROM version WHERE (?1 IS NULL OR off < ?1) AND "
        f"(?2 IS NULL OR off {beyond} ?2) ORDER BY off {order} LIMIT ?3",
        (end, at, words.limit + 1),
    )
    page = rows[: words.limit]
    return {
        "versions": _as_json(run, place, page),
        "total": total,
        "next": cursor_of(page[-1][0]) if len(rows) > len(page) else None,
    }


def _as_json(run: Run, place: Place, rows: list[tuple[Any, ...]]) -> list[dict[str, Any]]:
    store, levels = run.watched.store, levels_of(run)
    evaluations = {body["weights"]: body for body in evaluations_of(run, place)}
    decisions = {body["weights"]: body["decision"] for body in decisions_of(run, place)}
    names, found = _COLUMNS.split(", "), []
    for values in rows:
        row: dict[str, Any] = dict(zip(names, values, strict=True))
        metrics, learned = json.loads(row["metrics"]), json.loads(row["learned"] or "{}")
        before = store.rows("SELECT time FROM version WHERE id = ?", (row["parent_id"],))
        [(rank,)] = store.rows("SELECT count(*) FROM version WHERE off <= ?", (row["off"],))
        measured = held_out(evaluations.get(row["id"]), levels)
        low, high = measured["held_out_low"], measured["held_out_high"]
        found.append(
            {
                "version": row["number"],
                "time": iso(row["time"]),
                "step": rank,
                "seconds": max(0.0, row["time"] - before[0][0]) if before else None,
                **{name: row[name] for name in ("id", "parent", "policy", "format")},
                **{name: row[name] for name in ("trained", "dropped")},
                **{name: metrics.get(name) for name in _OWN},
                "success": learned.get("success"),
                "held_out": measured["held_out"],
                "held_out_interval": None if low is None else [low, high],
                "seen": measured["seen"],
                "decision": decisions.get(row["id"]),
            }
        )
    return found


def decisions_of(run: Run, place: Place) -> list[dict[str, Any]]:
    """What gates have decided up to a position, in the order of the log."""
    rows = run.watched.store.rows(
        "SELECT body FROM fact WHERE topic = 'promotions' AND (?1 IS NULL OR off < ?1) "
        "ORDER BY off",
        (place.end("promotions"),),
    )
    return [json.loads(body) for (body,) in rows]


def one(ask: Ask) -> dict[str, Any]:
    run, place = ask.run, ask.place
    row = _row(ask)
    [said] = _as_json(run, place, [row])
    event = run.watched.look(lambda log: _event(log, said["id"]))
    evaluation = next(
        (body for body in reversed(evaluations_of(run, place)) if body["weights"] == said["id"]),
        None,
    )
    decisions = [body for body in decisions_of(run, place) if body["weights"] == said["id"]]
    path, length = _path(run, row[0])
    return said | {
        "agent": event.agent,
        "epoch": event.epoch,
        "location": event.location,
        "seed": event.seed,
        "files": event.files,
        "metrics": json.loads(row[10]),
        "batch": [level.model_dump() for level in event.batch],
        "path": path,
        "path_length": length,
        "children": _beside(run, place, said["id"]),
        "siblings": [
            number
            for number in (_beside(run, place, row[4]) if row[4] else [])
            if number != said["version"]
        ],
        "evaluation": evaluation and _evaluation(run, evaluation),
        "decisions": [
            {key: body[key] for key in ("decision", "reasons", "id")} | {"time": body["created_at"]}
            for body in decisions
        ],
        "consumed": {
            "judgments": _consumed(event, "judgments"),
            "refusals": _consumed(event, "refusals"),
            "places": event.positions,
        },
        "granted": {"tasks": _granted(run, said["version"])},
        "learned": json.loads(row[11] or "null"),
        "place": f"{Weights.topic}/0/{row[0]}",
    }


def _row(ask: Ask) -> tuple[Any, ...]:
    """Raises `UnknownEvent`."""
    number = ask.words.path("version")
    end = ask.place.end("weights")
    where = "number = ?2" if len(number) < 32 else "id = ?2"
    rows = ask.run.watched.store.rows(
        f"SELECT {_COLUMNS} FROM version WHERE {where} AND (?1 IS NULL OR off < ?1) "
        "ORDER BY off LIMIT 1",
        (end, number),
    )
    if not rows:
        raise UnknownEvent(f"there is no version {number[:40]} on the log up to this position")
    return rows[0]


def _event(log: Log, event_id: str) -> Weights:
    record = log.find(event_id)
    event = None if record is None else record.event()
    if not isinstance(event, Weights):
        raise UnknownEvent(f"the event {event_id} cannot be found on the log")
    return event


def _path(run: Run, off: int) -> tuple[list[int], int]:
    """The newest forebears of a version and itself, and how many there are."""
    rows = run.watched.store.rows(
        "WITH RECURSIVE up (number, parent_id) AS (SELECT number, parent_id FROM version "
        "WHERE off = ? UNION ALL SELECT v.number, v.parent_id FROM version v "
        "JOIN up ON v.id = up.parent_id) SELECT number FROM up",
        (off,),
    )
    return [number for (number,) in rows[:_PATH]], len(rows)


def _beside(run: Run, place: Place, parent: str) -> list[int]:
    """The versions that were made from one."""
    rows = run.watched.store.rows(
        "SELECT number FROM version WHERE parent_id = ?1 AND (?2 IS NULL OR off < ?2) ORDER BY off",
        (parent, place.end("weights")),
    )
    return [number for (number,) in rows]


def _evaluation(run: Run, body: dict[str, Any]) -> dict[str, Any]:
    end = body.get("warmup_end")
    end = levels_of(run).warm_up_end if end is None else end
    scores = [
        score
        | {
            "accuracy": score["correct"] / score["total"] if score["total"] else None,
            "is_held_out": end is None or score["level"] > end,
        }
        for score in body["scores"]
    ]
    kept = ("id", "held_out", "seen", "seconds", "quantities")
    return {name: body[name] for name in kept} | {"scores": scores, "time": body["created_at"]}


def _consumed(event: Weights, topic: str) -> int:
    return sum(
        end - start
        for name, ranges in event.positions.items()
        for start, end in ranges
        if name.rpartition("/")[0] == topic
    )


def _granted(run: Run, number: int) -> int:
    [(tasks,)] = run.watched.store.rows(
        "SELECT count(*) FROM task WHERE version = ? AND off IS NOT NULL", (number,)
    )
    return int(tasks)


def judgments(ask: Ask) -> dict[str, Any]:
    run, words = ask.run, ask.words
    row = _row(ask)
    if row[3] is not None and words.path("version") != str(row[1]):
        raise Wrong(400, "name the version by its number")
    path, watched = run.source.path, run.watched
    found = watched.look(lambda log: lineage(log, path, row[1], chain=watched.chain(log)))
    start = words.start
    page = found.sources[start : start + words.limit]
    marks = ",".join("?" * len(page))
    extras = {
        task: extra
        for task, *extra in run.watched.store.rows(
            f"SELECT id, question, reward, samples FROM task WHERE id IN ({marks})",
            [source.task for source in page],
        )
    }
    said = []
    for source in page:
        question, reward, samples = extras.get(source.task, (None, None, None))
        said.append(asdict(source) | {"question": question, "reward": reward, "samples": samples})
    end = start + len(page)
    return {
        "judgments": said,
        "total": len(found.sources),
        "next": cursor_of(end) if end < len(found.sources) else None,
    }


_VERSION = Param(name="version", about="Its number, or the id of its event.", required=True)
ROUTES = (
    Route(
        path="/runs/{run}/versions",
        about="Every version up to a position.",
        answer=listed,
        params=(AT, LIMIT, CURSOR, Param(name="order", about="newest or oldest first.")),
    ),
    Route(
        path="/runs/{run}/versions/{version}",
        about="One version: parents, metrics, evaluation, what it consumed.",
        answer=one,
        params=(AT,),
    ),
    Route(
        path="/runs/{run}/versions/{version}/judgments",
        about="The judgments that taught it, and the tasks behind them.",
        answer=judgments,
        params=(AT, LIMIT, CURSOR),
    ),
)
