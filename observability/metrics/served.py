"""Which versions a process, or the processes of a run, serve, and what their swaps cost. Knows no
engine.
"""

from collections.abc import Iterator

from observability.metrics.points import Histogram, Point, point


class Served:
    """By policy, as swaps are told."""

    def __init__(self) -> None:
        self._versions: dict[str, int] = {}
        self._pauses: dict[str, Histogram] = {}

    def swapped(self, policy: str, version: int, pause_seconds: float) -> None:
        self._versions[policy] = version
        self._pauses.setdefault(policy, Histogram()).add(pause_seconds)

    def points(self) -> Iterator[Point]:
        for policy, version in sorted(self._versions.items()):
            yield point("evolvent.version.served", version, policy=policy)
        for policy, pauses in sorted(self._pauses.items()):
            yield point("evolvent.swap.pause", pauses, policy=policy)
