"""Under which epoch which version was published: little for a long chain. Knows no event."""


class Epochs:
    """Of the versions of a chain, as runs of versions with one epoch each."""

    def __init__(self) -> None:
        self._runs: list[list[int]] = []

    def add(self, number: int, epoch: int) -> None:
        last = self._runs[-1] if self._runs else [0, -2, epoch]
        if (last[1], last[2]) == (number - 1, epoch):
            last[1] = number
        else:
            self._runs.append([number, number, epoch])

    def of(self, number: int) -> int | None:
        """The newest of a version that stands there more than once."""
        found = (epoch for low, high, epoch in reversed(self._runs) if low <= number <= high)
        return next(found, None)

    @property
    def num_distinct(self) -> int:
        return len({epoch for _, _, epoch in self._runs})
