"""A state as programs and people read it: its digest first, then every agent, what it has come to
and what it has to do. Knows no log.
"""

from collections.abc import Iterator
from typing import Any

from observability.progress.status import control_as_json, known_as_json
from observability.replay.position import named, text_of
from observability.replay.state import State
from observability.replay.waiting import ROLES, Open
from observability.terminal.lines import printable

_ROLES = (*ROLES, "evaluator")


def as_json(state: State) -> dict[str, Any]:
    """The state of a run at a position; beside what `evolvent status` says of records:

    digest, events, position    {"topic/partition": offset after the last record}
    open                        {role: {topic: [[partition, offset, id]]}}, oldest first
    queued                      judgments that no version has consumed
    served                      {policy: version}: the last version that moved each
    trained, dropped            judgments that versions say they consumed, and other records
    promotions                  {decisions: {decision: number}, newest: {version, decision}}, null
                                where no gate has decided
    control                     {paused, stopped, objective}
    """
    known, waiting = state.known, state.waiting
    return {
        "digest": state.digest,
        "events": state.num_events,
        "position": named(state.ends),
        "open": {role: waiting.open(role) for role in ROLES},
        "queued": len(waiting.open("trainer").get("judgments", ())),
        "served": {name: one.version for name, one in sorted(known.policies.items())},
        "trained": known.totals.trained,
        "dropped": known.totals.dropped,
        "promotions": _promotions(state),
        "control": control_as_json(known, _ROLES),
    } | known_as_json(known)


def as_text(state: State) -> str:
    """For people: a line for the digest, the position, and each role."""
    rows = {"digest": state.digest, "events": f"{state.num_events:,}"}
    rows["position"] = text_of(state.ends) or "before the first event"
    for role, said in _roles(state).items():
        has_open = _open(state.waiting.open(role)) if role in ROLES else ""
        rows[role] = "; ".join(filter(None, (said, has_open))) or "–"
    control = control_as_json(state.known, _ROLES)
    rows |= {held: ", ".join(control[held]) for held in ("paused", "stopped") if control[held]}
    width = max(map(len, rows))
    return printable("\n".join(f"{name:{width}}  {said}" for name, said in rows.items()))


def _roles(state: State) -> dict[str, str]:
    known = state.known
    curriculum, evaluation = known.newest_curriculum, known.newest_evaluation
    said = dict.fromkeys(_ROLES, "")
    if curriculum is not None:
        tops = ", ".join(f"{family} {top}" for family, top in sorted(curriculum.top.items()))
        said["proposer"] = f"asks after version {curriculum.weights_version}" + (
            f", frontier {tops}" if tops else ""
        )
    said["solver"] = "serves " + ", ".join(_served(state)) if known.policies else ""
    if known.newest is not None:
        said["trainer"] = (
            f"version {known.newest.number}, learned from {known.totals.trained:,} judgments, "
            f"dropped {known.totals.dropped:,}"
        )
    if evaluation is not None:
        held_out = known.held_out_levels.held_out(evaluation)
        share = "" if held_out is None else f": held-out {held_out:.1%}"
        said["evaluator"] = f"version {evaluation.weights_version}{share}"
    return said


def _served(state: State) -> Iterator[str]:
    for name, one in sorted(state.known.policies.items()):
        yield f"version {one.version}" + (f" as {name}" if len(state.known.policies) > 1 else "")


def _open(found: dict[str, list[Open]]) -> str:
    parts = []
    for topic, (first, *_) in found.items():
        place = f"{topic}/{first.partition}/{first.offset}"
        parts.append(f"{topic}: {len(found[topic]):,} open, the oldest {place} {first.id}".rstrip())
    return "; ".join(parts) or "nothing open"


def _promotions(state: State) -> dict[str, Any]:
    newest = state.known.newest_promotion
    said = newest and {"version": newest.weights_version, "decision": newest.decision}
    return {"decisions": dict(sorted(state.known.decisions.items())), "newest": said}
