"""The values of a run's metrics, from the one fold of its log. Knows no process and no network."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import chain

from bus.topics import DEAD_SUFFIX
from observability.metrics.points import Point, point
from observability.progress.disk import Disk
from observability.progress.known import Known
from observability.progress.lag import Standing

_OF_A_VERSION = {
    "evolvent.reward": "reward",
    "evolvent.task.learnability": "learnability",
    "evolvent.task.unique.ratio": "unique_tasks",
    "evolvent.train.loss": "loss",
    "evolvent.train.grad_norm": "grad_norm",
    "evolvent.train.entropy": "entropy",
    "evolvent.train.kl": "kl",
    "evolvent.train.mismatch_kl": "mismatch_kl",
}
"""Which metric of the newest version is which."""

_OUTCOMES = {
    "evolvent.tasks": (("admitted", "tasks"), ("refused", "refusals")),
    "evolvent.attempts": (("made", "attempts"), ("dead", f"tasks{DEAD_SUFFIX}")),
    "evolvent.judgments": (("made", "judgments"), ("dead", f"attempts{DEAD_SUFFIX}")),
}
"""Which topic counts which outcome."""


def of_known(known: Known) -> Iterator[Point]:
    """What records say."""
    return chain(_of_newest(known), _of_totals(known), _of_evaluation(known), _of_counts(known))


def _of_newest(known: Known) -> Iterator[Point]:
    if (newest := known.newest) is None:
        return
    yield point("evolvent.weights.version", newest.number, state="trained")
    for name, said in _OF_A_VERSION.items():
        if (value := newest.metric(said)) is not None:
            yield point(name, value)
    for stat in ("mean", "max"):
        if (value := newest.metric(f"staleness_{stat}")) is not None:
            yield point("evolvent.weights.staleness", value, stat=stat)


def _of_totals(known: Known) -> Iterator[Point]:
    totals = known.totals
    yield point("evolvent.versions", known.versions.total)
    yield point("evolvent.groups", totals.trained)
    yield point("evolvent.tokens", totals.tokens)
    yield point("evolvent.train.nonfinite", totals.skipped)
    for decision in ("promoted", "rejected", "rolled_back"):
        yield point("evolvent.gate.decisions", known.decisions[decision], decision=decision)
    yield point("evolvent.rollbacks", known.decisions["rolled_back"])
    yield point("evolvent.events.schema.errors", known.num_unreadable)
    if (warned := known.controls.warned) is not None:
        yield point("evolvent.guard.warned", 1, guard=warned.finding[0])


def _of_evaluation(known: Known) -> Iterator[Point]:
    if (evaluation := known.newest_evaluation) is None:
        return
    yield point("evolvent.weights.version", evaluation.weights_version, state="evaluated")
    levels, name = known.held_out_levels, "evolvent.evaluation.accuracy.ratio"
    for split, mean in (
        ("held_out", levels.held_out(evaluation)),
        ("seen", levels.seen(evaluation)),
    ):
        if mean is not None:
            yield point(name, mean, split=split, bound="mean")
    if (interval := levels.interval(evaluation)) is not None:
        for bound, value in zip(("low", "high"), interval, strict=True):
            yield point(name, value, split="held_out", bound=bound)


def _of_counts(known: Known) -> Iterator[Point]:
    counts = known.counts
    for name, outcomes in _OUTCOMES.items():
        for outcome, topic in outcomes:
            yield point(name, counts.get(topic, 0), outcome=outcome)
    for topic, count in sorted(counts.items()):
        if topic.endswith(DEAD_SUFFIX):
            yield point("evolvent.dead_letters", count, topic=topic.removesuffix(DEAD_SUFFIX))


def of_groups(standings: Sequence[Standing], now: datetime) -> Iterator[Point]:
    """How far the groups are behind, in records and in time."""
    for one in standings:
        place = {"group": one.group, "topic": one.topic}
        yield point("evolvent.consumer.lag", one.backlog, **place)
        oldest = one.longest
        age = 0.0 if oldest is None else oldest.age_seconds(now)
        if age is not None:
            yield point("evolvent.consumer.lag.time", max(age, 0.0), **place)


def of_disk(disk: Disk) -> Iterator[Point]:
    """What a run takes of its disk."""
    for part, used in disk.used.items():
        yield point("evolvent.disk.used", used, part=part)
    yield point("evolvent.disk.free", disk.free)
    yield point("evolvent.disk.size", disk.size)
