"""What happened to versions, in the order of time."""

import json
from collections.abc import Iterator
from typing import Any

from observability.dashboard.asked import iso
from observability.dashboard.places import Place
from observability.dashboard.routing import AT, Ask, Route
from observability.dashboard.runs import Run

_MOST = 2000


def timeline(ask: Ask) -> dict[str, Any]:
    run, place = ask.run, ask.place
    published = list(_published(run, place))
    steps = {one["version"]: one["step"] for one in published}
    stride = max(1, -(-len(published) // (_MOST // 2)))
    found = [*published[::stride], *_said(run, place), *_swapped(run, place)]
    found.sort(key=lambda one: (one["at"], one["version"] or 0))
    kept = found if len(found) <= _MOST else found[:: -(-len(found) // _MOST)]
    events = [{"time": iso(one.pop("at")), "step": steps.get(one["version"])} | one for one in kept]
    return {"events": events, "downsampled": stride > 1 or len(kept) < len(found)}


def _event(what: str, at: float, version: int | None, label: str, **more: Any) -> dict[str, Any]:
    said = {"type": what, "at": at, "version": version, "label": label}
    return said | {"id": None, "agent": None, "detail": {}} | more


def _published(run: Run, place: Place) -> Iterator[dict[str, Any]]:
    rows = run.watched.store.rows(
        "SELECT number, id, time, policy, trained FROM version WHERE ?1 IS NULL OR off < ?1 "
        "ORDER BY off",
        (place.end("weights"),),
    )
    for rank, (number, event_id, time, policy, trained) in enumerate(rows, 1):
        label = f"version {number}, learned from {trained:,}" if trained else f"version {number}"
        more = {"policy": policy, "trained": trained}
        yield _event(
            "published", time, number, label, id=event_id, agent="trainer", detail=more
        ) | {"step": rank}


def _said(run: Run, place: Place) -> Iterator[dict[str, Any]]:
    for topic in ("evaluations", "promotions", "control"):
        rows = run.watched.store.rows(
            "SELECT body, time, id, version FROM fact WHERE topic = ?1 "
            "AND (?2 IS NULL OR off < ?2) ORDER BY off",
            (topic, place.end(topic)),
        )
        for text, time, event_id, version in rows:
            body = json.loads(text)
            more = {"id": event_id, "agent": body["agent"]}
            if topic == "evaluations":
                label = f"held-out {body['held_out']:.1%}, warm-up levels {body['seen']:.1%}"
                detail = {"held_out": body["held_out"], "seen": body["seen"]}
                yield _event("evaluated", time, version, label, detail=detail, **more)
            elif topic == "promotions":
                detail = {"reasons": body["reasons"]}
                label = "; ".join(body["reasons"]) or body["decision"].replace("_", " ")
                yield _event(body["decision"], time, version, label, detail=detail, **more)
            else:
                yield _told(body, time, version, more)


def _told(
    body: dict[str, Any], time: float, version: int | None, more: dict[str, Any]
) -> dict[str, Any]:
    command, role = body["command"], body["role"]
    detail = {name: body[name] for name in ("command", "role", "reason", "guard")}
    if body["guard"]:
        return _event("guard", time, version, body["reason"] or command, detail=detail, **more)
    if command == "start":
        return _event("started", time, version, "the run was started", detail=detail, **more)
    return _event("control", time, version, f"{command} {role}", detail=detail, **more)


def _swapped(run: Run, place: Place) -> Iterator[dict[str, Any]]:
    """A swap as the log shows it: the first attempt that a version sampled."""
    rows = run.watched.store.rows("SELECT version, agent, time, part, joff FROM swap")
    for version, agent, time, part, joff in rows:
        end = place.end("judgments", part)
        if end is None or joff < end:
            label = f"{agent} samples with version {version}"
            yield _event("swapped", time, version, label, agent=agent)


ROUTES = (
    Route(
        path="/runs/{run}/timeline",
        about="What happened to versions: published, evaluated, decided on, swapped.",
        answer=timeline,
        params=(AT,),
    ),
)
