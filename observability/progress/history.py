"""What was said of versions, in bounded memory: all of it while that is little, then every other
of the older ones, again and again. Knows no event.
"""

from collections.abc import Callable
from typing import TypeVar

Said = TypeVar("Said")

MOST = 256
"""So many versions are remembered at most."""

NEWEST = 64
"""So many of the newest are never left out."""


class History(dict[int, Said]):
    """By version, lowest first. The lowest, the newest and the best of `rank` are never left out;
    `total` counts all that were ever said, `since` those after one that is still here."""

    def __init__(self, rank: Callable[[Said], float | None] = lambda said: None) -> None:
        super().__init__()
        self._rank = rank
        self._followed: dict[int, int] = {}
        self._highest = -1
        self.total = 0

    def say(self, version: int, said: Said) -> None:
        """What is said of a version again takes the place of what was said before."""
        self.total += version not in self
        self[version] = said
        if version < self._highest:
            ordered = sorted(self.items())
            self.clear()
            self.update(ordered)
        self._highest = max(version, self._highest)
        if len(self) > MOST:
            self._leave_out()

    def since(self, version: int) -> int:
        """How many versions something was said of after this one, those left out included."""
        later = [each for each in self if each > version]
        return len(later) + sum(self._followed.get(each, 0) for each in (version, *later))

    @property
    def is_whole(self) -> bool:
        """Whether none was left out yet."""
        return not self._followed

    def _leave_out(self) -> None:
        versions = list(self)
        ranks = [(rank, -version) for version in versions if (rank := self._rank(self[version]))]
        best = -max(ranks)[1] if ranks else versions[0]
        before = versions[0]
        for index, version in enumerate(versions[:-NEWEST]):
            if index % 2 and version != best:
                del self[version]
                followed = self._followed.pop(version, 0) + 1
                self._followed[before] = self._followed.get(before, 0) + followed
            else:
                before = version
