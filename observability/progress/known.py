"""What the records of a run say of it: the one fold behind status, report, live view and replay.
Knows no log and no screen, and never the bodies of tasks, attempts, judgments and refusals.
"""

from collections import Counter, deque
from datetime import datetime
from functools import cache
from itertools import chain
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
    Promotion,
    Weights,
)
from bus.records import Record
from bus.topics import DEAD_SUFFIX
from observability.progress.facts import Dead, Start, Trained, Version
from observability.progress.held_out import HeldOutLevels, measured
from observability.progress.history import History
from observability.progress.moves import Moves, evaluations_without_progress
from observability.progress.totals import Totals

FOLDED = ("control", "weights", "curricula", "evaluations", "promotions")
"""Whose bodies are read, beside those of dead letters: in this order, where it can be chosen."""

_DEAD = 100
_RECENT = 20
_STARTS = 1024
_STANDSTILL_SECONDS = 30.0


@cache
def is_folded(topic: str) -> bool:
    """Whether `Known.take` reads the records of a topic."""
    return topic in FOLDED or topic.endswith(DEAD_SUFFIX)


class Known:
    """The state of a run after every record that was `take`n, partition by partition in order.
    Which partition comes first changes nothing, but for the seconds between two versions: those
    leave out what lies before a start that was taken earlier.

    `versions`, `evaluations` and `curricula` map a version to what was said of it, oldest first;
    of a long run some of the older ones are left out; `policies` are those that were trained,
    `decisions` how often gates have decided what. `counts` are records per topic, of all topics:
    whoever reads the log gives them.
    """

    def __init__(self) -> None:
        self.first_start: Start | None = None
        self.newest_start: Start | None = None
        self._started: deque[datetime] = deque(maxlen=_STARTS)
        self.controls = Controls()
        self.versions: History[Version] = History()
        self.totals = Totals()
        self.evaluations: History[Evaluation] = History(lambda one: one.held_out)
        self.curricula: History[Curriculum] = History()
        self.decisions: Counter[str] = Counter()
        self.newest_promotion: Promotion | None = None
        self.counts: dict[str, int] = {}
        self._dead: dict[str, deque[Dead]] = {}
        self.laid_aside: Counter[str] = Counter()
        self.moves = Moves()
        self.held_out_levels = HeldOutLevels()
        self.num_unreadable = 0
        self._newest: Version | None = None
        self.policies: dict[str, Trained] = {}

    def take(self, record: Record) -> Event | None:
        """The next record of a partition of a topic that `is_folded`; its event, None where nobody
        can read it or it belongs to another topic."""
        try:
            event = record.event()
        except Unreadable:
            event = None
        if event is None or event.channel != record.topic:
            self.num_unreadable += 1
            return None
        self._fold(event, record)
        return event

    def _fold(self, event: Event, record: Record) -> None:
        match event:
            case Control():
                self.controls.take(event)
                if event.command == "start":
                    self.newest_start = _start(event)
                    if self.first_start is None or event.parent is not None:
                        self.first_start = self.newest_start
                    self.moves.learns = self.newest_start.learns
                    self._started.append(event.created_at)
            case Weights():
                self._newest = self._version(event, record.offset)
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
            case Promotion():
                self.decisions[event.decision] += 1
                self.newest_promotion = event
            case DeadLetter():
                letters = self._dead.setdefault(record.topic, deque(maxlen=_DEAD))
                letters.append(_dead(event, record))
                self.laid_aside[event.group] += 1

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
    def dead(self) -> list[Dead]:
        """The last dead letters, oldest first."""
        letters = sorted(chain.from_iterable(self._dead.values()), key=_age)
        return letters[-_DEAD:]

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


def _start(event: Control) -> Start:
    return Start(
        created_at=event.created_at,
        run=event.run,
        seed=event.seed,
        settings=event.settings,
        plugins=event.plugins,
    )


def _dead(event: DeadLetter, record: Record) -> Dead:
    return Dead(
        created_at=event.created_at,
        topic=record.topic,
        offset=record.offset,
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


def _age(dead: Dead) -> tuple[datetime, str, int]:
    return dead.created_at, dead.topic, dead.offset
