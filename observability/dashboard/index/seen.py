"""The tasks of an index as they were at a position: what was said later is not there."""

from typing import Any

from bus.groups import Stream
from observability.dashboard.places import Place

_JUDGED = (
    "jtime, samples, counted, correct, reward, low, high, critic, sampled, oldest, tokens, nats, "
    "answers, joff"
)
_ALWAYS = (
    "n, id, part, off, time, agent, source, family, level, version, question, answer, prompt, "
    "proposed_by"
)
_DEAD = ("tasks.dead", "attempts.dead", "judgments.dead")


def seen(place: Place) -> tuple[str, list[Any]]:
    """A table `seen` for after WITH, and its values."""
    if place.ends is None:
        state = _state("joff IS NOT NULL", "doff IS NOT NULL", "aoff IS NOT NULL")
        return (
            f"seen AS (SELECT {_ALWAYS}, {_JUDGED}, atime, consumed, {state} FROM task "
            "WHERE off IS NOT NULL)",
            [],
        )
    ends = place.ends
    parts = sorted({part for topic, part in ends if topic == "tasks"})
    rows = ",".join(
        f"({part},{_end(ends, 'tasks', part)},{_end(ends, 'attempts', part)},"
        f"{_end(ends, 'judgments', part)})"
        for part in parts
    )
    dead = " OR ".join(f"(dtopic = '{at}' AND doff < {_end(ends, at, 0)})" for at in _DEAD)
    state = _state("joff < j", dead, "aoff < a")
    judged = ", ".join(f"CASE WHEN joff < j THEN {one} END AS {one}" for one in _JUDGED.split(", "))
    weights = _end(ends, "weights", 0)
    return (
        f"at (p, t, a, j) AS (VALUES {rows or '(-1,0,0,0)'}), "
        f"seen AS (SELECT {_ALWAYS}, {judged}, CASE WHEN aoff < a THEN atime END AS atime, "
        f"CASE WHEN consumed_off < {weights} THEN consumed END AS consumed, {state} "
        "FROM task JOIN at ON p = part WHERE off < t)",
        [],
    )


def _state(judged: str, dead: str, attempted: str) -> str:
    return (
        f"CASE WHEN {judged} THEN 'judged' WHEN {dead} THEN 'dead' WHEN {attempted} "
        "THEN 'attempted' ELSE 'open' END AS state"
    )


def _end(ends: Any, topic: str, part: int) -> int:
    stream: Stream = (topic, part)
    return int(ends.get(stream, 0))
