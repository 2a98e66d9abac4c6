"""Tasks: found by what they are and what came of them."""

import json
from collections import Counter
from typing import Any

from observability.dashboard.asked import Words, Wrong, cursor_of, iso
from observability.dashboard.index.seen import seen
from observability.dashboard.routing import AT, CURSOR, LIMIT, Ask, Param, Route

_COLUMNS = (
    "n, id, part, off, time, agent, source, family, level, version, question, answer, proposed_by, "
    "state, samples, counted, correct, reward, low, high, critic, sampled, consumed"
)
_EQUAL = {
    "family": "family",
    "level": "level",
    "version": "version",
    "source": "source",
    "agent": "agent",
    "critic": "critic",
    "consumed": "consumed",
}
_WHOLE = ("level", "version", "consumed", "sampled")
_SOLVED = {
    "yes": "counted > 0 AND correct = counted",
    "no": "counted > 0 AND correct = 0",
    "partly": "correct > 0 AND correct < counted",
}
_FACETS = ("family", "level", "source", "state", "critic")
_SORTS = {
    "newest": ("n", "DESC"),
    "oldest": ("n", "ASC"),
    "reward": ("reward", "ASC"),
    "-reward": ("reward", "DESC"),
}
_FACET_VALUES = 50
_ALL = "1"


def listed(ask: Ask) -> dict[str, Any]:
    words, store = ask.words, ask.run.watched.store
    table, _ = seen(ask.place)
    where, values = _where(words)
    sort = words.choice("sort", *_SORTS) or "newest"
    column, order = _SORTS[sort]
    after, more = _after(words, column, order)
    rows = store.rows(
        f"WITH {table} SELECT {_COLUMNS} FROM seen WHERE {where} AND {after} "
        f"ORDER BY {column} {order}, n {order} LIMIT ?",
        (*values, *more, words.limit + 1),
    )
    page = rows[: words.limit]
    names = _COLUMNS.split(", ")
    tasks = [task_as_json(dict(zip(names, row, strict=True))) for row in page]
    facets = ask.remembered("facets", lambda: _facets(ask, table))
    if values or where != _ALL:
        [(total,)] = store.rows(f"WITH {table} SELECT count(*) FROM seen WHERE {where}", values)
    else:
        total = sum(facets["state"].values())
    following = None
    if len(rows) > len(page):
        last = page[-1]
        reward = last[names.index("reward")]
        following = cursor_of(last[0]) if column == "n" else cursor_of(reward, last[0])
    return {
        "tasks": tasks,
        "total": total,
        "next": following,
        "index": ask.run.watched.indexed,
        "facets": {} if words.cursor else facets,
    }


def _where(words: Words) -> tuple[str, list[Any]]:
    parts, values = [_ALL], list[Any]()
    for name, column in _EQUAL.items():
        said = words.whole(name) if name in _WHOLE else words.text(name)
        if said is not None:
            parts.append(f"{column} = ?")
            values.append(said)
    if (role := words.text("role")) is not None:
        parts.append("? IN (agent, source)")
        values.append(role)
    if (version := words.whole("sampled")) is not None:
        parts.append("? IN (SELECT value FROM json_each(sampled))")
        values.append(version)
    if (state := words.choice("state", "open", "attempted", "judged", "dead")) is not None:
        parts.append("state = ?")
        values.append(state)
    if (solved := words.choice("solved", *_SOLVED)) is not None:
        parts.append(_SOLVED[solved])
    for name, compared in (("reward_min", ">="), ("reward_max", "<=")):
        if (reward := words.real(name)) is not None:
            parts.append(f"reward {compared} ?")
            values.append(reward)
    if (text := words.text("text")) is not None:
        parts.append("(instr(lower(question), ?) OR instr(lower(answer), ?) OR id = ?)")
        values += [text.lower(), text.lower(), text]
    return " AND ".join(parts), values


def _after(words: Words, column: str, order: str) -> tuple[str, list[Any]]:
    """Where a list goes on."""
    beyond, cursor = "<" if order == "DESC" else ">", words.cursor
    if column == "n":
        return (f"n {beyond} ?", cursor[:1]) if cursor else ("1", [])
    if not cursor:
        return "reward IS NOT NULL", []
    if len(cursor) != 2:
        raise Wrong(400, "cursor: give back what `next` said, with the same sort")
    return f"(reward, n) {beyond} (?, ?)", cursor


def _facets(ask: Ask, table: str) -> dict[str, dict[str, int]]:
    """How many of all tasks have which value."""
    names = ", ".join(_FACETS)
    rows = ask.run.watched.store.rows(
        f"WITH {table} SELECT {names}, count(*) FROM seen GROUP BY {names}"
    )
    found = {name: Counter[str]() for name in _FACETS}
    for *values, number in rows:
        for name, value in zip(_FACETS, values, strict=True):
            if value is not None:
                found[name][str(value)] += number
    return {name: dict(counts.most_common(_FACET_VALUES)) for name, counts in found.items()}


def task_as_json(row: dict[str, Any]) -> dict[str, Any]:
    """A row of the index in a list."""
    same = ("agent", "source", "family", "level", "version", "question", "answer", "proposed_by")
    return {
        "task": row["id"],
        "time": iso(row["time"]),
        "place": f"tasks/{row['part']}/{row['off']}",
        **{name: row[name] for name in same},
        **{name: row[name] for name in ("state", "samples", "correct", "reward", "critic")},
        "counted": row["counted"],
        "reward_low": row["low"],
        "reward_high": row["high"],
        "sampled_by": json.loads(row["sampled"] or "[]"),
        "consumed_by": row["consumed"],
    }


_FILTERS = (
    Param(name="family", about="Its family."),
    Param(name="level", about="Its level.", kind="integer"),
    Param(name="version", about="The version that granted it.", kind="integer"),
    Param(name="sampled", about="A version that sampled it.", kind="integer"),
    Param(name="consumed", about="The version that consumed it.", kind="integer"),
    Param(name="role", about="Who asked: an agent or a source."),
    Param(name="source", about="Its source."),
    Param(name="agent", about="The agent that asked."),
    Param(name="critic", about="Who judged."),
    Param(name="state", about="open, attempted, judged or dead."),
    Param(name="solved", about="yes, no or partly."),
    Param(name="reward_min", about="Mean reward from here on.", kind="number"),
    Param(name="reward_max", about="Mean reward up to here.", kind="number"),
    Param(name="text", about="Within question or answer."),
    Param(name="sort", about="newest, oldest, reward, -reward."),
)
ROUTES = (
    Route(
        path="/runs/{run}/tasks",
        about="Tasks by what they are and what came of them.",
        answer=listed,
        params=(AT, LIMIT, CURSOR, *_FILTERS),
    ),
)
