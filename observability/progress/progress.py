"""What is known of a run: an incremental fold of its log. Knows no screen, and never reads the
bodies of tasks, attempts, judgments and refusals: heads and lags count those.
"""

from collections import Counter, deque
from collections.abc import Sequence
from datetime import datetime
from math import isfinite

from bus.control import Controls
from bus.errors import Unreadable
from bus.events import (
    SOLVED_BY_TRY,
    Control,
    Curriculum,
    DeadLetter,
    Evaluation,
    Event,
    Weights,
)
from bus.log import Log
from bus.topics import DEAD_SUFFIX
from observability.progress.facts import Backlog, Dead, Start, Trained, Version
from observability.progress.held_out import HeldOutLevels, measured
from observability.progress.history import History
from observability.progress.moves import Moves, evaluations_without_progress
from observability.progress.totals import Totals

_FOLDED = ("control", "weights", "curricula", "evaluations")
_RECENT = 20
_STARTS = 1024
_STANDSTILL_SECONDS = 30.0


class Progress:
    """The state of a run, as of the last `refresh`.

    `versions`, `evaluations` and `curricula` map a version to what was said of it, oldest first;
    of a long run some of the older ones are left out; `policies` are those that were trained.
    `counts` are records per topic; `dead` holds the last dead letters, `answered` the number of
    those that each group has done otherwise, but for what the operator has said: that is
    `controls`; `groups` are those it is told of and whose backlog is: the ones given, or every
    group that ever subscribed.
    """

    def __init__(self, log: Log, groups: Sequence[str] | None = None) -> None:
        self._log = log
        self._given = groups
        self.groups: Sequence[str] = groups or ()
        self._read: dict[tuple[str, int], int] = {}
        self.first_start: Start | None = None
        self.newest_start: Start | None = None
        self._started: deque[datetime] = deque(maxlen=_STARTS)
        self.controls = Controls()
        self.versions: History[Version] = History()
        self.totals = Totals()
        self.evaluations: History[Evaluation] = History(lambda one: one.held_out)
        self.curricula: History[Curriculum] = History()
        self.counts: dict[str, int] = {}
        self.backlogs: list[Backlog] = []
        self.answered: dict[str, int] = {}
        self.dead: deque[Dead] = deque(maxlen=100)
        self._done: dict[str, int] = {}
        self._laid_aside: Counter[str] = Counter()
        self.moves = Moves()
        self.held_out_levels = HeldOutLevels()
        self.num_unreadable = 0
        self._newest: Version | None = None
        self.policies: dict[str, Trained] = {}

    def refresh(self) -> None:
        """Fold what the log has gained since the last call; costs what is new."""
        heads = self._log.heads()
        counts: dict[str, int] = {}
        for (topic, _), end in heads.items():
            counts[topic] = counts.get(topic, 0) + end
        self.counts = counts
        for topic in (*_FOLDED, *(name for name in counts if name.endswith(DEAD_SUFFIX))):
            for (name, partition), end in heads.items():
                if name == topic:
                    self._read_new(topic, partition, end)
        self.groups = self._log.groups() if self._given is None else self._given
        self.backlogs = [
            Backlog(group=group, topic=topic, records=records)
            for group in self.groups
            for topic, records in self._backlog(group).items()
        ]
        self.answered = {
            group: done - self._laid_aside[group] for group, done in self._done.items()
        }

    def _read_new(self, topic: str, partition: int, end: int) -> None:
        start = self._read.get((topic, partition), 0)
        if start >= end:
            return
        for record in self._log.read(topic, partition, start, end):
            try:
                self._fold(record.event(), topic, record.offset)
            except Unreadable:
                self.num_unreadable += 1
        self._read[(topic, partition)] = end

    def _backlog(self, group: str) -> dict[str, int]:
        backlog: dict[str, int] = {}
        lags = self._log.lag(group)
        for lag in lags:
            backlog[lag.topic] = backlog.get(lag.topic, 0) + lag.backlog
        self._done[group] = sum(lag.base + lag.done for lag in lags if lag.topic != Control.topic)
        return backlog

    def _fold(self, event: Event, topic: str, offset: int) -> None:
        match event:
            case Control():
                self.controls.take(event)
                if event.command == "start":
                    self.newest_start = _start(event)
                    self.first_start = self.first_start or self.newest_start
                    self.moves.learns = self.newest_start.learns
                    self._started.append(event.created_at)
            case Weights():
                self._newest = self._version(event, offset)
                self.versions.say(event.number, self._newest)
                self.totals.add(self._newest)
                self._train(event)
                self.moves.add(event)
            case Curriculum():
                self.curricula.say(event.weights_version, event)
            case Evaluation():
                evaluation = measured(event)
                self.evaluations.say(event.weights_version, evaluation)
                self.held_out_levels.add(evaluation)
            case DeadLetter():
                self.dead.append(_dead(event, topic, offset))
                self._laid_aside[event.group] += 1

    def _train(self, event: Weights) -> None:
        """Version 0 begins all policies, and is counted for none."""
        known = self.policies.get(event.policy)
        num = (0 if known is None else known.versions) + (event.number > 0)
        self.policies[event.policy] = Trained(version=event.number, versions=num)

    def _version(self, event: Weights, offset: int) -> Version:
        seconds = None
        if self._newest is not None:
            since = self._newest.created_at
            since = max([since, *(at for at in self._started if at <= event.created_at)])
            seconds = _without_standstill((event.created_at - since).total_seconds(), event)
        return Version(
            number=event.number,
            created_at=event.created_at,
            trained=event.trained,
            dropped=event.dropped,
            metrics=event.metrics,
            batch=event.batch,
            seconds=seconds,
            evolved_seconds=self.totals.seconds + (seconds or 0.0),
            offset=offset,
            policy=event.policy,
        )

    @property
    def newest(self) -> Version | None:
        return self._newest

    @property
    def newest_evaluation(self) -> Evaluation | None:
        return self.evaluations[max(self.evaluations)] if self.evaluations else None

    @property
    def first_evaluation(self) -> Evaluation | None:
        return self.evaluations[min(self.evaluations)] if self.evaluations else None

    @property
    def quantities(self) -> dict[str, tuple[float | None, float]]:
        """What the domain measures besides, by name: at the first evaluation and at the newest."""
        first, last = self.first_evaluation, self.newest_evaluation
        if first is None or last is None:
            return {}
        return {
            name: (first.quantities.get(name), value)
            for name, value in sorted(last.quantities.items())
        }

    @property
    def solved_by_try(self) -> list[float]:
        """Of a sampler that tries again, the shares of the newest version's samples that were right
        by the first try, by the second and so on."""
        metrics = self._newest.metrics if self._newest else {}
        by = {
            int(name.removeprefix(SOLVED_BY_TRY)): value
            for name, value in metrics.items()
            if name.startswith(SOLVED_BY_TRY)
        }
        return [by[number] for number in sorted(by)]

    @property
    def evaluations_without_progress(self) -> int:
        return evaluations_without_progress(self.evaluations, self.held_out_levels)

    @property
    def newest_curriculum(self) -> Curriculum | None:
        return self.curricula[max(self.curricula)] if self.curricula else None

    @property
    def run(self) -> str:
        return self.first_start.run if self.first_start else ""

    @property
    def recipe(self) -> str:
        return self.first_start.recipe if self.first_start else ""

    @property
    def seed(self) -> int | None:
        return self.first_start.seed if self.first_start else None

    @property
    def started_at(self) -> datetime | None:
        if self.first_start:
            return self.first_start.created_at
        return next((version.created_at for version in self.versions.values()), None)

    def recent(self, number: int = _RECENT) -> list[Version]:
        """The last versions, oldest first."""
        newest = self._newest.number if self._newest else -1
        numbers = range(max(0, newest - number + 1), newest + 1)
        return [self.versions[n] for n in numbers if n in self.versions]

    @property
    def tokens_per_second(self) -> float | None:
        """Over the last versions."""
        timed = [v for v in self.recent() if v.tokens_per_second is not None]
        seconds = sum(v.seconds or 0.0 for v in timed)
        return sum(v.metric("tokens") or 0.0 for v in timed) / seconds if seconds else None

    @property
    def versions_per_minute(self) -> float | None:
        """Over the last versions."""
        timed = [v.seconds for v in self.recent() if v.seconds is not None]
        return 60.0 * len(timed) / sum(timed) if timed and sum(timed) else None

    @property
    def refused_share(self) -> float | None:
        """Refused proposals among all that were made."""
        refused = self.counts.get("refusals", 0)
        made = refused + self.counts.get("tasks", 0)
        return refused / made if made else None

    @property
    def paused(self) -> list[str]:
        """The groups that may take nothing new."""
        return [group for group in self.groups if self.controls.is_paused(group)]

    @property
    def stopped(self) -> list[str]:
        """The groups that were told to end."""
        return [group for group in self.groups if self.controls.is_stopped(group)]


def _start(event: Control) -> Start:
    return Start(
        created_at=event.created_at,
        run=event.run,
        seed=event.seed,
        settings=event.settings,
        plugins=event.plugins,
    )


def _dead(event: DeadLetter, topic: str, offset: int) -> Dead:
    return Dead(
        topic=topic,
        offset=offset,
        origin=f"{event.origin_topic}/{event.origin_partition}/{event.origin_offset}",
        group=event.group,
        reason=event.reason,
    )


def _without_standstill(seconds: float, event: Weights) -> float | None:
    """A gap far beyond what the trainer says it spent is a run that stood still meanwhile."""
    own = sum(
        value
        for name in ("seconds_train", "seconds_wait", "seconds_checkpoint")
        if (value := event.metrics.get(name, 0.0)) and isfinite(value)
    )
    if own > 0.0 and seconds > 2.0 * own + _STANDSTILL_SECONDS:
        return own
    return max(seconds, 0.0) or None
