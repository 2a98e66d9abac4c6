"""What domains with levels and held-out suites have in common. Knows no problem's inside."""

from collections.abc import Iterable, Sequence
from itertools import islice

from agents.domains.domain import Problem


def check_levels(levels: Sequence[int], **named: Iterable[int]) -> None:
    """Raises ValueError unless `levels` ascend and hold all that the fields `named` speak of."""
    if list(levels) != sorted(set(levels)):
        raise ValueError(f"levels must ascend without repeats, not {list(levels)}")
    for field, some in named.items():
        if extra := set(some) - set(levels):
            raise ValueError(f"{field} {sorted(extra)} are not among levels {list(levels)}")


def check_digits_left(levels: Sequence[int], held_out_from: int, per_level: int, what: str) -> None:
    """Raises ValueError when a suite takes more than half of what the digits of a level write."""
    lowest = min((level for level in levels if level >= held_out_from), default=60)
    if per_level > 10**lowest // 2:
        raise ValueError(
            f"held_out_per_level {per_level} leaves too few of the {10**lowest} {what} of level "
            f"{lowest}: raise held_out_from or lower it"
        )


def first_of(suite: Iterable[Problem], count: int, per_level: int) -> list[Problem]:
    """The first `count` of a suite, fewer where it has not so many. Raises ValueError for more
    than `per_level`."""
    if count > per_level:
        raise ValueError(
            f"the held-out suite has {per_level} problems per level, not {count}: raise "
            "held_out_per_level"
        )
    return list(islice(suite, count))
