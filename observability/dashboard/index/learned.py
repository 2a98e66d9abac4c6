"""What a version learned from, in numbers: of the judgments that it consumed, once all of them are
in the index."""

import json
from collections.abc import Mapping
from math import sqrt
from sqlite3 import Connection
from typing import Any

from bus.groups import Stream, stream_of

BINS = 10
"""Of the histogram of a group's success."""

_ROWS = """
SELECT samples, counted, correct, reward, critic, family, level, prompt, oldest, tokens, nats,
       answers, agreed, compared, judges, time, atime, jtime
FROM task WHERE part = ? AND joff >= ? AND joff < ?
"""


def learn(connection: Connection, ends: Mapping[Stream, int]) -> None:
    """Fill in every version whose judgments are all there."""
    waiting = connection.execute(
        "SELECT off, number, parent, positions FROM version WHERE learned IS NULL ORDER BY off"
    ).fetchall()
    for off, number, parent, text in waiting:
        ranges = {stream_of(name): found for name, found in json.loads(text).items()}
        if any(found and found[-1][1] > ends.get(at, 0) for at, found in ranges.items()):
            continue
        rows: list[tuple[Any, ...]] = []
        for (topic, part), found in ranges.items():
            for start, end in found if topic == "judgments" else ():
                rows += connection.execute(_ROWS, (part, start, end))
                connection.execute(
                    "UPDATE task SET consumed = ?, consumed_off = ? WHERE part = ? AND joff >= ? "
                    "AND joff < ? AND consumed IS NULL",
                    (number, off, part, start, end),
                )
        said = json.dumps(_numbers(rows, parent))
        connection.execute("UPDATE version SET learned = ? WHERE off = ?", (said, off))


def _numbers(rows: list[tuple[Any, ...]], parent: int | None) -> dict[str, Any]:
    groups = [row for row in rows if row[1]]
    if not groups:
        return {"groups": 0}
    success = [row[2] / row[1] for row in groups]
    num = len(groups)
    tokens = sum(row[9] for row in rows if row[10] is not None)
    compared = sum(row[13] for row in rows)
    solved = sum(row[2] > 0 for row in groups) / num
    return {
        "groups": num,
        "success": sum(row[2] for row in groups) / sum(row[1] for row in groups),
        "learnability": sum(p * (1 - p) for p in success) / num,
        "zero_variance": sum(row[2] in (0, row[1]) for row in groups) / num,
        "unique_tasks": len({row[7] for row in groups}) / num,
        "unique_answers": sum(row[11] for row in rows) / max(1, sum(row[0] for row in rows)),
        "pass_at_1": sum(success) / num,
        "pass_at_k": solved,
        "pass_gap": solved - sum(success) / num,
        "entropy": sum(row[10] for row in rows if row[10] is not None) / tokens if tokens else None,
        "judge_agreement": sum(row[12] for row in rows) / compared if compared else None,
        "judges": _judges(rows),
        "levels": _levels(groups),
        "stale": _counted(max(0, parent - row[8]) for row in rows if None not in (parent, row[8])),
    }


def _judges(rows: list[tuple[Any, ...]]) -> dict[str, list[float]]:
    """Verdicts, mean and standard deviation by judge."""
    sums: dict[str, list[float]] = {}
    for row in rows:
        for name, (number, total, squares) in json.loads(row[14] or "{}").items():
            found = sums.setdefault(name, [0, 0.0, 0.0])
            found[0], found[1], found[2] = found[0] + number, found[1] + total, found[2] + squares
    return {
        name: [number, total / number, sqrt(max(0.0, squares / number - (total / number) ** 2))]
        for name, (number, total, squares) in sums.items()
    }


def _levels(groups: list[tuple[Any, ...]]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for row in groups:
        counts = found.setdefault(f"{row[5]}/{row[6]}", [0, 0, 0])
        counts[0] += 1
        counts[1] += row[1]
        counts[2] += row[2]
    return found


def _counted(values: Any) -> dict[str, int]:
    found: dict[str, int] = {}
    for value in values:
        found[str(value)] = found.get(str(value), 0) + 1
    return found
