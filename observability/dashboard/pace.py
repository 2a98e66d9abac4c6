"""How many events came in the last minute, by topic. Knows no log but where its partitions end."""

from collections import deque
from collections.abc import Mapping

from bus.groups import Stream

WINDOW_SECONDS = 60.0
_STEP_SECONDS = 1.0


class Pace:
    """Looked at again and again, with the time of the one who looks."""

    def __init__(self) -> None:
        self._looks: deque[tuple[float, dict[str, int]]] = deque()

    def look(self, now: float, heads: Mapping[Stream, int]) -> None:
        if self._looks and now - self._looks[-1][0] < _STEP_SECONDS:
            return
        counts: dict[str, int] = {}
        for (topic, _), end in heads.items():
            counts[topic] = counts.get(topic, 0) + end
        self._looks.append((now, counts))
        while now - self._looks[0][0] > WINDOW_SECONDS:
            self._looks.popleft()

    @property
    def seconds(self) -> float:
        """How long it was looked at."""
        return self._looks[-1][0] - self._looks[0][0] if self._looks else 0.0

    @property
    def per_second(self) -> dict[str, float]:
        """Events a second by topic, of topics that grew."""
        seconds = self.seconds
        if not seconds:
            return {}
        first, last = self._looks[0][1], self._looks[-1][1]
        grown = {topic: end - first.get(topic, 0) for topic, end in last.items()}
        return {topic: number / seconds for topic, number in grown.items() if number > 0}
