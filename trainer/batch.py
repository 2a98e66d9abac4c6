"""Which judgments make the next version: a pure rule over what has arrived. Knows no model.

A batch is ready when `size` judgments are fresh enough, or when `timeout_seconds` have passed
since the first record of it arrived. What is not learned from is dropped with a reason.
"""

import math
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from bus.errors import Unreadable
from bus.events import SOLVED_BY_TRY, DeadLetter, Event, Judgment, LevelCount, Refusal
from bus.hands import Hands, hand_of
from bus.records import Delivery, Position
from trainer.checkpoint.manifest import Consumed, Dropped, Manifest, id_of_record

GROUP = "trainer"

Age = Callable[[int, int], int]
"""How many versions behind the second a version is, the first."""

STALE = "stale"
"""How the reason begins where an attempt was too old to be learned from."""

DROPPED = "dropped_"
"""How metrics begin that say how much was not learned from, by why."""

_REFUSED, _DUPLICATE = "refused by the task gate", "duplicate"

_ENDS = 3
"""After so many ends of the trainer in a row with the same judgments batches grow smaller."""


class BatchConfig(BaseModel):
    """`size` judgments make a version; attempts older than `max_staleness` versions are dropped."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    size: int = Field(default=64, gt=0)
    max_staleness: int = Field(default=2, ge=0)
    timeout_seconds: float = Field(default=20.0, gt=0)

    @property
    def remembered(self) -> int:
        """What was trained on so many versions ago is too old to be trained on again."""
        return self.max_staleness + 2


def _behind(drawn: int, newest: int) -> int:
    return newest - drawn


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A record of the log and the event it holds; `event` None when it cannot be read."""

    consumed: Consumed
    event: Event | None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What one version consumes, and of it what to learn from: the judgments, and the proposals
    that were refused, which are consumed as `dropped`. `restarts` is how often learning has
    started from version 0 again by then."""

    judgments: tuple[Judgment, ...]
    trained: tuple[Consumed, ...]
    dropped: tuple[Dropped, ...]
    num_tasks: int
    restarts: int = 0
    refused: tuple[Refusal, ...] = ()

    @classmethod
    def empty(cls) -> Self:
        return cls(judgments=(), trained=(), dropped=(), num_tasks=0)

    @classmethod
    def recorded(cls, manifest: Manifest, read: Mapping[Position, Event]) -> Self:
        """What a version was learned from, as its manifest names it; `read` is what lies there.
        Raises `KeyError` with the position of what is missing."""
        judged = (read[one.position] for one in manifest.trained)
        refused = (read[one.position] for one in manifest.dropped if one.reason == _REFUSED)
        dead = [d for d in manifest.dropped if d.topic != "refusals" and d.reason != _DUPLICATE]
        return cls(
            judgments=tuple(one for one in judged if isinstance(one, Judgment)),
            trained=manifest.trained,
            dropped=manifest.dropped,
            num_tasks=len(manifest.trained) + len(dead),
            refused=tuple(one for one in refused if isinstance(one, Refusal)),
        )

    def levels(self) -> tuple[LevelCount, ...]:
        """Tasks, samples without a hint and right answers by family and level."""
        counts: dict[tuple[str, int], list[int]] = {}
        for judgment in self.judgments:
            task = judgment.attempt.task
            count = counts.setdefault((task.family, task.level), [0, 0, 0])
            count[0] += 1
            count[1] += len(judgment.unaided)
            count[2] += sum(verdict.right for verdict in judgment.unaided)
        return tuple(
            LevelCount(family=family, level=level, tasks=tasks, samples=samples, correct=correct)
            for (family, level), (tasks, samples, correct) in sorted(counts.items())
        )

    def positions(self) -> dict[str, tuple[tuple[int, int], ...]]:
        """Where what it consumes lies, as half-open ranges of offsets by "topic/partition"."""
        ranges: dict[str, list[tuple[int, int]]] = {}
        for position in sorted(one.position for one in (*self.trained, *self.dropped)):
            found = ranges.setdefault(f"{position.topic}/{position.partition}", [])
            if found and found[-1][1] == position.offset:
                found[-1] = (found[-1][0], position.offset + 1)
            else:
                found.append((position.offset, position.offset + 1))
        return {name: tuple(found) for name, found in ranges.items()}

    def rollout_metrics(self, parent: int, age: Age = _behind) -> dict[str, float]:
        """What it was made of: tokens and samples, rewards, staleness in versions; how much there
        was to learn (`_to_learn`); what was dropped and why; of samplers that try again, the shares
        of samples that were right by the first try, by the second and so on."""
        dropped = Counter(f"{DROPPED}{one.why}" for one in self.dropped)
        left_out = {name: float(count) for name, count in sorted(dropped.items())}
        if not self.judgments:
            return {"tokens": 0.0, "samples": 0.0, **left_out}
        attempts = [judgment.attempt for judgment in self.judgments]
        oldest = [attempt.oldest_version for attempt in attempts]
        staleness = [age(version, parent) for version in oldest if version is not None] or [0]
        samples = [sample for attempt in attempts for sample in attempt.samples]
        rewards = [verdict.reward for judgment in self.judgments for verdict in judgment.unaided]
        return {
            "tokens": float(sum(sample.num_tokens for sample in samples)),
            "samples": float(len(samples)),
            "reward": fmean(rewards or [0.0]),
            "staleness_mean": fmean(staleness),
            "staleness_max": float(max(staleness)),
            **self._to_learn(),
            **self._solved_by_try(),
            **left_out,
        }

    def _to_learn(self) -> dict[str, float]:
        """`zero_variance` groups, whose rewards are all the same; `learnability`, the mean of
        p(1 - p) over groups of which a share p is right; `unique_tasks`, the share of different
        prompts; `entropy`, the mean of -log p over the tokens that were drawn, in nats."""
        groups = self.judgments
        drawn = [
            logprob
            for judgment in groups
            for sample in judgment.attempt.samples
            for turn in sample.trainable
            for logprob in turn.logprobs
        ]
        rewards = [{verdict.reward for verdict in judgment.verdicts} for judgment in groups]
        found = {
            "zero_variance": float(sum(len(each) < 2 for each in rewards)),
            "learnability": fmean(one.success * (1 - one.success) for one in groups),
            "unique_tasks": len({one.attempt.task.prompt for one in groups}) / len(groups),
        }
        return found | ({"entropy": -fmean(drawn)} if drawn else {})

    def _solved_by_try(self) -> dict[str, float]:
        took = [
            sample.tries if verdict.right else math.inf
            for judgment in self.judgments
            for sample, verdict in zip(judgment.attempt.samples, judgment.verdicts, strict=True)
        ]
        samples = (one for judgment in self.judgments for one in judgment.attempt.samples)
        most = max((sample.tries for sample in samples), default=0)
        return {
            f"{SOLVED_BY_TRY}{number}": sum(each <= number for each in took) / len(took)
            for number in range(1, most + 1)
        }


def arrival(delivery: Delivery) -> Arrival:
    """Read a delivery; a record that cannot be read becomes an arrival without an event."""
    consumed = Consumed(
        id=id_of_record(delivery.record),
        topic=delivery.topic,
        partition=delivery.partition,
        offset=delivery.offset,
    )
    try:
        return Arrival(consumed=consumed, event=delivery.event())
    except Unreadable as error:
        return Arrival(consumed=consumed, event=None, reason=f"unreadable: {error}")


class Gathering:
    """The arrivals that no version has consumed yet. `recent` names the version that trained on an
    id, oldest first; what is too old to come again is forgotten. What was in the trainer's `hands`
    when its process ended makes smaller batches, until what ends it is alone, and dropped. `age`
    says how stale an attempt is."""

    def __init__(
        self,
        config: BatchConfig,
        recent: Mapping[str, int],
        hands: Hands | None = None,
        age: Age = _behind,
    ) -> None:
        self._age = age
        self._config = config
        self._hands = hands or Hands()
        self._recent = OrderedDict(recent)
        self._arrivals: list[Arrival] = []
        self._first: float | None = None

    def add(self, arrivals: Iterable[Arrival], now: float) -> None:
        self._arrivals.extend(arrivals)
        if self._arrivals and self._first is None:
            self._first = now

    def wait_seconds(self, now: float) -> float:
        """How long until the batch is taken as it is."""
        if self._first is None:
            return self._config.timeout_seconds
        return max(0.0, self._first + self._config.timeout_seconds - now)

    def take(self, parent: int, now: float) -> Batch | None:
        """The next batch for a version whose parent is number `parent`, None if not ready."""
        fresh: list[tuple[Consumed, Judgment]] = []
        dropped: list[Dropped] = []
        refused: list[Refusal] = []
        num_dead = 0
        left: list[Arrival] = []
        seen: set[str] = set()
        size = self._size()
        for arrived in self._arrivals:
            reason = self._reason_to_drop(arrived, parent, seen)
            seen.add(arrived.consumed.id)
            if reason is not None:
                num_dead += arrived.consumed.topic != "refusals" and reason != _DUPLICATE
                dropped.append(Dropped(**arrived.consumed.model_dump(), reason=reason))
                if isinstance(arrived.event, Refusal) and reason == _REFUSED:
                    refused.append(arrived.event)
            elif isinstance(arrived.event, Judgment) and len(fresh) < size:
                fresh.append((arrived.consumed, arrived.event))
            else:
                left.append(arrived)
        if len(fresh) < size and (self._first is None or self.wait_seconds(now) > 0):
            return None
        self._arrivals = left
        self._first = now if left else None
        trained = tuple(consumed for consumed, _ in fresh)
        self._recent.update((consumed.id, parent + 1) for consumed in trained)
        self._forget(parent + 1)
        return Batch(
            judgments=tuple(judgment for _, judgment in fresh),
            trained=trained,
            dropped=tuple(dropped),
            num_tasks=len(fresh) + num_dead,
            refused=tuple(refused),
        )

    def _forget(self, newest: int) -> None:
        kept = self._config.remembered
        while self._recent and self._age(next(iter(self._recent.values())), newest) > kept:
            self._recent.popitem(last=False)

    def _size(self) -> int:
        companies = (
            self._hands.company(hand_of(GROUP, arrived.consumed), _ENDS)
            for arrived in self._arrivals
        )
        return int(min((self._config.size, *companies)))

    def _reason_to_drop(self, arrived: Arrival, parent: int, seen: set[str]) -> str | None:
        event = arrived.event
        if event is None:
            return arrived.reason
        if event.id in self._recent or event.id in seen:
            return _DUPLICATE
        if isinstance(event, DeadLetter):
            return f"dead letter of {event.group}: {event.reason}"
        if isinstance(event, Refusal):
            return _REFUSED
        if (why := self._hands.condemned(hand_of(GROUP, arrived.consumed))) is not None:
            return f"poison: {why}"
        if isinstance(event, Judgment):
            oldest = event.attempt.oldest_version
            age = 0 if oldest is None else self._age(oldest, parent)
            if age > self._config.max_staleness:
                return f"{STALE}: {age} versions old"
            return None
        return f"a {event.type()} is nothing to learn from"
