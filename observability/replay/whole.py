"""Whether a position is a moment of its log: what one commit said lies on one side of it, and what
a record answers lies before it. Reads what was committed between the first record after the
position and the last one before it, and of that what is near the ends. Knows no role.
"""

from bisect import bisect_left, bisect_right
from contextlib import suppress
from functools import partial

from bus.groups import name_of
from bus.log import Log
from bus.records import Record
from observability.replay.position import (
    Answer,
    Commits,
    UnknownPosition,
    Vector,
    answer_of,
    position,
    rests,
)

_NEAR = 512
"""So many records of a partition are looked at on either side, at most."""

Numbered = list[tuple[int, Record]]
"""Records with the numbers of their commits; all 0 where the log has no order."""


def check_whole(log: Log, vector: Vector) -> None:
    """Raises `UnknownPosition` where a commit is split, or the cause of an answer is not there:
    there was no such moment."""
    before, after = _near(log, vector)
    for _, record in before:
        if not rests(log, record, vector):
            raise UnknownPosition(
                f"--at: at this position there is {_place(record)}, the answer to what is not "
                f"there yet: {_instead(log, record)}"
            )
    said: dict[tuple[int, Answer], Record] = {
        (commit, answer_of(record)): record for commit, record in before if commit
    }
    for commit, record in after:
        answer = answer_of(record)
        # Where every record has a number of its own, those of one answer follow one another.
        for number in (commit - 1, commit, commit + 1) if answer[0] else ():
            if other := said.get((number, answer)):
                raise UnknownPosition(
                    f"--at: at this position there is {_place(other)}, but not {_place(record)}, "
                    f"which was committed with it: {_instead(log, record)}"
                )


def _near(log: Log, vector: Vector) -> tuple[Numbered, Numbered]:
    """The last records before a position and the first after it: in the order of commits each other
    one lies on its own side of all that lie on the other."""
    commits, before, after = Commits(log, "--at"), Numbered(), Numbered()
    heads = commits.heads
    try:
        following = [commits.of(at, end) for at, end in vector.items() if end < heads[at]]
        last = max((commits.of(at, end - 1) for at, end in vector.items() if end), default=0)
    except UnknownPosition:
        for at, end in vector.items():
            before += [(0, record) for record in log.read(*at, max(0, end - _NEAR), end)]
        return before, []
    first = min(following, default=last + 1)
    for at, end in vector.items():
        of = partial(commits.of, at)
        low, high = max(0, end - _NEAR), min(heads[at], end + _NEAR)
        # One more: where records have numbers of their own, a commit goes on from one to the next.
        low = max(low, bisect_left(range(end), first, lo=low, key=of) - 1)
        high = min(high, bisect_right(range(high), last, lo=end, key=of) + 1)
        before += [(of(one.offset), one) for one in log.read(*at, low, end)]
        after += [(of(one.offset), one) for one in log.read(*at, end, high)]
    return before, after


def _place(record: Record) -> str:
    return f"{name_of((record.topic, record.partition))}/{record.offset}"


def _instead(log: Log, record: Record) -> str:
    """What to name in place of a position that has a record on the wrong side."""
    with suppress(UnknownPosition):
        if rests(log, record, position(log, record.event_id)):
            return f"name a version, or {record.event_id} for all that was committed up to that"
    return "name a position that `evolvent replay observe` has shown"
