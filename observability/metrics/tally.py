"""What versions add up to, as they are told: counters and durations that their log remembers."""

from collections import Counter
from collections.abc import Iterator

from bus.events import Event, Weights
from observability.metrics.points import Histogram, Point, point
from trainer.batch import DROPPED

_DURATIONS = {
    "seconds_train": "evolvent.train.step.duration",
    "seconds_wait": "evolvent.train.wait.duration",
    "seconds_checkpoint": "evolvent.train.checkpoint.duration",
}


class Tally:
    """Of all versions that were told: the same after a restart, since the log tells them again."""

    def __init__(self) -> None:
        self._right = self._wrong = 0
        self._zero_variance = 0.0
        self._dropped: Counter[str] = Counter()
        self._durations = {name: Histogram() for name in _DURATIONS}

    def hear(self, event: Event) -> None:
        if not isinstance(event, Weights):
            return
        for count in event.batch:
            self._right += count.correct
            self._wrong += count.samples - count.correct
        metrics = event.metrics
        self._zero_variance += metrics.get("zero_variance", 0.0)
        self._drop(event)
        for name, histogram in self._durations.items():
            if (seconds := metrics.get(name)) is not None:
                histogram.add(seconds)

    def _drop(self, event: Weights) -> None:
        said = {
            name.removeprefix(DROPPED): round(value)
            for name, value in event.metrics.items()
            if name.startswith(DROPPED)
        }
        self._dropped.update(said)
        if unsaid := event.dropped - sum(said.values()):
            self._dropped["other"] += unsaid
        if filtered := event.trained - round(event.metrics.get("chosen", event.trained)):
            self._dropped["filtered"] += filtered

    def points(self) -> Iterator[Point]:
        yield point("evolvent.samples", self._right, outcome="right")
        yield point("evolvent.samples", self._wrong, outcome="wrong")
        yield point("evolvent.groups.zero_variance", self._zero_variance)
        for reason, count in sorted(self._dropped.items()):
            yield point("evolvent.samples.dropped", count, reason=reason)
        for name, histogram in self._durations.items():
            yield point(_DURATIONS[name], histogram)
