"""What domains with levels and held-out suites have in common. Knows no problem's inside."""

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import islice
from random import Random

from agents.domains.domain import Problem

_TRIES = 100
"""Short levels have few problems: so many draws for each that a suite is to have."""


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


class Suites:
    """What is kept back to measure, `per_level` problems of each family and level from `lowest` on:
    the first different ones that `draw` makes from a seed of their own."""

    def __init__(
        self,
        name: str,
        draw: Callable[[str, int, Random], Problem],
        per_level: int,
        lowest: int = 0,
    ) -> None:
        self._name = name
        self._draw = draw
        self._per_level = per_level
        self._lowest = lowest
        self._suite = cache(self._drawn)

    def first(self, family: str, level: int, count: int) -> list[Problem]:
        """The first `count` of a suite; short levels have fewer problems than that. Raises
        ValueError for more than there are to be."""
        return first_of(self._suite(family, level).values(), count, self._per_level)

    def hold(self, problem: Problem) -> bool:
        """Whether it is kept back, and so to be refused everywhere else."""
        level = problem.level
        return level >= self._lowest and problem.prompt in self._suite(problem.family, level)

    def make(self, family: str, level: int, random: Random) -> Problem:
        """A new problem that is not kept back."""
        while self.hold(problem := self._draw(family, level, random)):
            pass
        return problem

    def _drawn(self, family: str, level: int) -> dict[str, Problem]:
        random = Random(f"{self._name} held-out {family} {level}")
        suite: dict[str, Problem] = {}
        for _ in range(_TRIES * self._per_level):
            problem = self._draw(family, level, random)
            suite.setdefault(problem.prompt, problem)
            if len(suite) == self._per_level:
                break
        return suite
