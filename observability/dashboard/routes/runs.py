"""Runs: which there are, what each was at a position, who is well."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from bus.errors import BusError
from bus.log import Log
from observability.archive.place import ArchiveError
from observability.dashboard.asked import Wrong, iso
from observability.dashboard.routing import AT, Ask, Param, Route
from observability.dashboard.runs import Run
from observability.dashboard.watched import Unavailable
from observability.progress import lag
from observability.replay import shown
from observability.replay.state import State

_OPEN_SHOWN = 100
_PACE = ("tokens_per_second", "versions_per_minute")


def listed(ask: Ask) -> dict[str, Any]:
    return {"runs": [summary(run) for run in ask.runs]}


def summary(run: Run) -> dict[str, Any]:
    """A run in a list: what is known of it without waiting for its log."""
    source, watched = run.source, run.watched
    found: dict[str, Any] = {
        "id": run.id,
        "run": source.run,
        "path": str(source.path),
        "bus": source.place,
        "error": watched.error,
        "index": watched.indexed,
        "bytes": source.size(),
        "updated_at": iso(watched.newest_time),
        **source.labels(),
    }
    try:
        found |= watched.state(None, _facts)
        found["state"] = "unreachable" if watched.error else state_of(run, found)
    except (Unavailable, BusError, ArchiveError):
        found["state"] = "unreachable"
    return found


def _facts(state: State) -> dict[str, Any]:
    said, known = shown.as_json(state), state.known
    best = max(
        (one for one in said["curve"] if one["held_out"] is not None),
        key=lambda one: one["held_out"],
        default=None,
    )
    parent = known.first_start and known.first_start.settings.get("parent")
    names = ("recipe", "seed", "version", "versions", "events", "held_out", "held_out_interval")
    return {name: said[name] for name in (*names, "seen", "started_at", "guard", "control")} | {
        "best": best and best["held_out"],
        "best_version": best and best["version"],
        "parent": parent,
    }


def state_of(run: Run, said: Mapping[str, Any]) -> str:
    """running, paused, stopped, or idle: nobody is alive."""
    roles, control = set(run.source.roles), said["control"]
    alive = run.watched.look(lambda log: any(log.members(group) for group in log.groups()))
    if not alive:
        return "stopped" if roles and roles <= {*control["stopped"]} else "idle"
    return "paused" if roles and roles <= {*control["paused"]} else "running"


def label(ask: Ask) -> dict[str, Any]:
    tags, note = ask.body.get("tags"), ask.body.get("note")
    if tags is not None and not (isinstance(tags, list) and all(type(x) is str for x in tags)):
        raise Wrong(400, "tags: send a list of texts")
    if note is not None and not isinstance(note, str):
        raise Wrong(400, "note: send a text")
    ask.run.source.label(tags, note)
    return summary(ask.run)


def resolve(ask: Ask) -> dict[str, Any]:
    step = ask.words.whole("step")
    place = ask.place if step is None else ask.run.places.at_step(step)
    return ask.run.places.described(place)


def state(ask: Ask) -> dict[str, Any]:
    run, place = ask.run, ask.place
    status, roles = run.watched.state(place.ends, lambda one: (_status(one, place.is_now), one))
    found = run.places.described(place) | {
        "position": status.pop("position"),
        "events": status.pop("events"),
        "digest": status.pop("digest"),
        "open": {
            role: {topic: len(rows) for topic, rows in topics.items()}
            for role, topics in status["open"].items()
        },
    }
    found["roles"] = health(run, roles, found["open"], place.is_now)
    for topics in status["open"].values():
        for topic, rows in topics.items():
            topics[topic] = rows[:_OPEN_SHOWN]
    return found | {"status": status}


def _status(state: State, is_now: bool) -> dict[str, Any]:
    pace = {name: getattr(state.known, name) for name in _PACE} if is_now else {}
    return shown.as_json(state) | pace


def health(
    run: Run, state: State, waiting: Mapping[str, Mapping[str, int]], is_now: bool
) -> list[dict[str, Any]]:
    """Every role: whether it lives, what it has to do, what went wrong with it."""
    known, source = state.known, run.source
    standing = run.watched.look(_standing) if is_now else {}
    deaths = source.deaths() if is_now else {}
    names = dict.fromkeys((*source.roles, *waiting, *standing))
    found = []
    for role in names:
        members, topics = standing.get(role, (None, []))
        death = deaths.get(role) or next(
            (one for who, one in deaths.items() if role in who.split("+")), None
        )
        by_topic = dict(waiting.get(role, {})) or {t["topic"]: t["backlog"] for t in topics}
        ages = [t["oldest"]["age_seconds"] for t in topics if t["backlog"] and t["oldest"]]
        found.append(
            {
                "role": role,
                "alive": None if members is None else bool(members),
                "members": members or [],
                "paused": known.controls.is_paused(role),
                "stopped": known.controls.is_stopped(role),
                "backlog": sum(t["backlog"] for t in topics) if topics else sum(by_topic.values()),
                "lag_seconds": max((age for age in ages if age is not None), default=None),
                "by_topic": {name: number for name, number in by_topic.items() if number},
                "done": sum(t["base"] + t["done"] for t in topics) if topics else None,
                "last_error": death and {k: death[k] for k in ("reason", "at", "times")},
                "restarts": death["times"] if death else 0,
                "dead_letters": known.laid_aside[role],
            }
        )
    return found


def _standing(log: Log) -> dict[str, tuple[list[str], list[dict[str, Any]]]]:
    """Members and topics by group."""
    now = datetime.now(UTC)
    rows: dict[str, tuple[list[str], list[dict[str, Any]]]] = {
        group: (log.members(group), []) for group in log.groups()
    }
    for one in lag.as_json(lag.standings(log), now):
        rows[one["group"]][1].append(one)
    return rows


ROUTES = (
    Route(path="/runs", about="Every run: where it stands.", answer=listed),
    Route(
        path="/runs/{run}",
        about="Change its tags and its note.",
        answer=label,
        method="PATCH",
        body={"tags": "list of texts", "note": "text"},
    ),
    Route(
        path="/runs/{run}/resolve",
        about="A position, and where it lies on the slider.",
        answer=resolve,
        params=(AT, Param(name="step", about="A step of the slider instead.", kind="integer")),
    ),
    Route(
        path="/runs/{run}/state",
        about="The state of every role at a position, as `replay observe` has it.",
        answer=state,
        params=(AT,),
    ),
)
