"""What is known of a run, followed to the ends of its log. Knows no screen; heads and lags count
what `Known` does not read.
"""

from collections.abc import Callable, Sequence

from bus.events import Control, Event
from bus.log import Log
from observability.progress.facts import Backlog
from observability.progress.known import FOLDED, Known, is_folded


class Progress(Known):
    """The state of a run, as of the last `refresh`.

    `counts` are records per topic; `answered` is the number of those that each group has done
    otherwise than by a dead letter, but for what the operator has said: that is `controls`;
    `groups` are those it is told of and whose backlog is: the ones given, or every group that ever
    subscribed. Whoever is `told` hears of every event that is folded, from the first one on.
    """

    def __init__(
        self,
        log: Log,
        groups: Sequence[str] | None = None,
        told: Callable[[Event], None] = lambda event: None,
    ) -> None:
        super().__init__()
        self._log = log
        self._told = told
        self._given = groups
        self.groups: Sequence[str] = groups or ()
        self._read: dict[tuple[str, int], int] = {}
        self.backlogs: list[Backlog] = []
        self.answered: dict[str, int] = {}
        self._done: dict[str, int] = {}

    def refresh(self) -> None:
        """Fold what the log has gained since the last call; costs what is new."""
        heads = self._log.heads()
        counts: dict[str, int] = {}
        for (topic, _), end in heads.items():
            counts[topic] = counts.get(topic, 0) + end
        self.counts = counts
        for (topic, partition), end in sorted(heads.items(), key=_order):
            if is_folded(topic):
                self._read_new(topic, partition, end)
        self.groups = self._log.groups() if self._given is None else self._given
        self.backlogs = [
            Backlog(group=group, topic=topic, records=records)
            for group in self.groups
            for topic, records in self._backlog(group).items()
        ]
        self.answered = {group: done - self.laid_aside[group] for group, done in self._done.items()}

    def _read_new(self, topic: str, partition: int, end: int) -> None:
        start = self._read.get((topic, partition), 0)
        if start >= end:
            return
        for record in self._log.read(topic, partition, start, end):
            if (event := self.take(record)) is not None:
                self._told(event)
        self._read[(topic, partition)] = end

    def _backlog(self, group: str) -> dict[str, int]:
        backlog: dict[str, int] = {}
        lags = self._log.lag(group)
        for lag in lags:
            backlog[lag.topic] = backlog.get(lag.topic, 0) + lag.backlog
        self._done[group] = sum(lag.base + lag.done for lag in lags if lag.topic != Control.topic)
        return backlog

    @property
    def paused(self) -> list[str]:
        """The groups that may take nothing new."""
        return [group for group in self.groups if self.controls.is_paused(group)]

    @property
    def stopped(self) -> list[str]:
        """The groups that were told to end."""
        return [group for group in self.groups if self.controls.is_stopped(group)]


def _order(head: tuple[tuple[str, int], int]) -> tuple[int, tuple[str, int]]:
    stream, _ = head
    return FOLDED.index(stream[0]) if stream[0] in FOLDED else len(FOLDED), stream
