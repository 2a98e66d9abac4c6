"""Who talks to whom, how much, how fast: from what is on the log."""

from typing import Any

from observability.dashboard.index.seen import seen
from observability.dashboard.pace import WINDOW_SECONDS
from observability.dashboard.routes.runs import health
from observability.dashboard.routes.task import ROLES, readers
from observability.dashboard.routing import AT, Ask, Route
from observability.replay.state import State

_ANSWERS = 500
_TITLES = {
    "proposer": "asks",
    "solver": "answers",
    "critic": "judges",
    "trainer": "learns",
    "evaluator": "measures",
    "operator": "tells",
}


def agents(ask: Ask) -> dict[str, Any]:
    run, place = ask.run, ask.place
    state, waiting = run.watched.state(place.ends, lambda one: (one, _open(one)))
    roles = health(run, state, waiting, place.is_now)
    latency = _latencies(ask)
    for one in roles:
        one["title"] = _TITLES.get(one["role"], "")
        one["latency"] = latency.get(one["role"])
        one["in_flight"] = sum(waiting.get(one["role"], {}).values())
    return {"roles": roles, "edges": _edges(ask, state, roles)}


def _open(state: State) -> dict[str, dict[str, int]]:
    from observability.replay.waiting import ROLES as WAITING

    return {
        role: {topic: len(rows) for topic, rows in state.waiting.open(role).items()}
        for role in WAITING
    }


def _edges(ask: Ask, state: State, roles: list[dict[str, Any]]) -> list[dict[str, Any]]:
    pace = ask.run.watched.pace if ask.place.is_now else None
    rates, by_role = pace.per_second if pace else {}, {one["role"]: one for one in roles}
    found = []
    for topic, speaker in ROLES.items():
        count = state.known.counts.get(topic, 0)
        if not count:
            continue
        listeners = [one for one in readers(topic) if one in by_role]
        if topic == "control":
            listeners = [one for one in by_role if one != "operator"]
        if topic in ("curricula", "evaluations", "promotions"):
            listeners = []
        for listener in listeners:
            there = by_role[listener]
            found.append(
                {
                    "from": speaker,
                    "to": listener,
                    "topic": topic,
                    "count": count,
                    "per_second": rates.get(topic, 0.0) if pace else None,
                    "window_seconds": min(WINDOW_SECONDS, pace.seconds) if pace else None,
                    "backlog": there["by_topic"].get(topic, 0),
                    "lag_seconds": there["lag_seconds"] if there["by_topic"].get(topic) else None,
                }
            )
    return found


def _latencies(ask: Ask) -> dict[str, dict[str, float]]:
    """Seconds from what a role answers to its answer, over the newest answers."""
    table, _ = seen(ask.place)
    rows = ask.run.watched.store.rows(
        f"WITH {table} SELECT time, atime, jtime, version FROM seen WHERE atime IS NOT NULL "
        f"ORDER BY n DESC LIMIT {_ANSWERS}"
    )
    found = {
        "solver": [atime - time for time, atime, _, _ in rows],
        "critic": [jtime - atime for _, atime, jtime, _ in rows if jtime is not None],
    }
    published = dict(
        ask.run.watched.store.rows("SELECT number, time FROM version ORDER BY off DESC LIMIT 500")
    )
    found["proposer"] = [time - published[of] for time, _, _, of in rows if of in published]
    evaluated = ask.run.watched.store.rows(
        "SELECT time, version FROM fact WHERE topic = 'evaluations' AND (?1 IS NULL OR off < ?1) "
        f"ORDER BY off DESC LIMIT {_ANSWERS}",
        (ask.place.end("evaluations"),),
    )
    found["evaluator"] = [time - published[of] for time, of in evaluated if of in published]
    return {role: _spread(values) for role, values in found.items() if values}


def _spread(values: list[float]) -> dict[str, float]:
    ordered = sorted(max(0.0, value) for value in values)
    last = len(ordered) - 1
    return {
        "median": ordered[last // 2],
        "p95": ordered[round(0.95 * last)],
        "of": len(ordered),
    }


ROUTES = (
    Route(
        path="/runs/{run}/agents",
        about="Roles and what goes between them: counts, rates, latencies, what is in flight.",
        answer=agents,
        params=(AT,),
    ),
)
