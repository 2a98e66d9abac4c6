"""Under which epoch which version was published: little for a long chain. Knows no event."""

from collections.abc import Sequence

Run = tuple[int, int, int]
"""The versions [first, last], and their epoch."""


class Epochs:
    """Of the versions of a chain, as runs of versions with one epoch each."""

    def __init__(self, runs: Sequence[Run] = ()) -> None:
        self.runs = list(runs)

    def add(self, number: int, epoch: int) -> None:
        first, last, newest = self.runs[-1] if self.runs else (0, -2, epoch)
        if (last, newest) == (number - 1, epoch):
            self.runs[-1] = (first, number, epoch)
        else:
            self.runs.append((number, number, epoch))

    def of(self, number: int) -> int | None:
        """The newest of a version that stands there more than once."""
        found = (epoch for low, high, epoch in reversed(self.runs) if low <= number <= high)
        return next(found, None)

    @property
    def num_distinct(self) -> int:
        return len({epoch for _, _, epoch in self.runs})
