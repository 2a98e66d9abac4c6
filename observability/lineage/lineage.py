"""What stands behind a version: the judgments that it consumed, their attempts and tasks, which
versions proposed and sampled them, and its path to the root. Knows no screen.

    version <- judgments <- attempts <- tasks <- the versions that granted, wrote and sampled them
       |
    parent  <- …                                                                down to version 0
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path

from bus.errors import Unreadable
from bus.events import Judgment, Refusal, Turn
from bus.log import Log
from bus.records import Record
from observability.lineage.chain import Chain, Link
from trainer.checkpoint.manifest import DamagedCheckpoint, read_manifest


class UnknownEvent(Exception):
    """There is no such version or event on the log: one sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One judgment behind a version. `learned` says whether it was trained on, None where that is
    not known: the checkpoint is not here; `reason` why not. `granted_by`, `proposed_by` and
    `sampled_by` are numbers of versions."""

    judgment: str
    attempt: str
    task: str
    family: str
    level: int
    critic: str
    counted: int
    correct: int
    granted_by: int
    proposed_by: int | None
    sampled_by: tuple[int, ...]
    learned: bool | None
    reason: str
    consumed_by: int
    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How much versions consumed."""

    judgments: int
    refusals: int
    trained: int
    dropped: int
    samples: int
    correct: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Step(Counts):
    """One version of a path, of which `run`, and how much it consumed itself."""

    run: str
    version: int
    id: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Behind(Counts):
    """How much stands behind a version, its own batch and those of all its forebears."""

    versions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """`sources` are the judgments of its own batch, or of all the path; `refusals` those of the
    same versions; `path` leads from the version to the root, through the runs that a fork came
    from."""

    run: str
    version: int
    id: str
    location: str
    sources: tuple[Source, ...]
    refusals: tuple[str, ...]
    num_unreadable: int
    path: tuple[Step, ...]

    @property
    def behind(self) -> Behind:
        names = [each.name for each in fields(Counts)]
        sums = {name: sum(getattr(step, name) for step in self.path) for name in names}
        return Behind(versions=len(self.path) - 1, **sums)

    def counted(self, name: str) -> dict[str, int]:
        """How many sources have each value of a field, the most frequent first."""
        values: Counter[str] = Counter()
        for source in self.sources:
            value = getattr(source, name)
            for one in value if isinstance(value, tuple) else (value,):
                if one is not None:
                    values[str(one)] += 1
        return dict(values.most_common())

    @property
    def levels(self) -> list[tuple[str, int, int, int, int]]:
        """Family, level, tasks, samples and right ones of the sources."""
        counts: dict[tuple[str, int], list[int]] = {}
        for source in self.sources:
            count = counts.setdefault((source.family, source.level), [0, 0, 0])
            count[0] += 1
            count[1] += source.counted
            count[2] += source.correct
        return [(*key, *count) for key, count in sorted(counts.items())]  # type: ignore[misc]


def lineage(
    log: Log, run: Path, version: int, *, whole: bool = False, chain: Chain | None = None
) -> Lineage:
    """What stands behind a version of the run in a folder; with `whole` every judgment of its path
    is read, else those of its own batch. Raises `UnknownEvent`. Who has the log's `chain`
    gives it."""
    chain = chain or Chain(log)
    link = chain.numbered(version)
    if link is None:
        newest = max((one.number for one in chain), default=None)
        there = "there is none" if newest is None else f"the newest is {newest}"
        raise UnknownEvent(f"there is no version {version} on the log: {there}")
    path = chain.path(link)
    gathered = _Gathered(log, run)
    for one in path if whole else path[:1]:
        gathered.read(one)
    return Lineage(
        run=link.run,
        version=version,
        id=link.id,
        location=link.location,
        sources=tuple(gathered.sources),
        refusals=tuple(gathered.refusals),
        num_unreadable=gathered.num_unreadable,
        path=tuple(map(_step, path)),
    )


def _step(link: Link) -> Step:
    return Step(
        run=link.run,
        version=link.number,
        id=link.id,
        created_at=link.created_at,
        judgments=link.num_consumed(Judgment.topic),
        refusals=link.num_consumed(Refusal.topic),
        trained=link.trained,
        dropped=link.dropped,
        samples=link.batch[0],
        correct=link.batch[1],
    )


class _Gathered:
    """What versions consumed, as it is read."""

    def __init__(self, log: Log, run: Path) -> None:
        self._log, self._run = log, run
        self.sources: list[Source] = []
        self.refusals: list[str] = []
        self.num_unreadable = 0

    def read(self, link: Link) -> None:
        dropped = dropped_by(self._run, link)
        for record in self._records(link, Judgment.topic):
            try:
                event = record.event()
            except Unreadable:
                self.num_unreadable += 1
                continue
            if isinstance(event, Judgment):
                self.sources.append(_source(record, event, link, dropped))
        self.refusals += [record.event_id for record in self._records(link, Refusal.topic)]

    def _records(self, link: Link, topic: str) -> Iterator[Record]:
        for partition, start, end in link.ranges(topic):
            yield from self._log.read(topic, partition, start, end)


def dropped_by(run: Path, link: Link) -> dict[str, str] | None:
    """What a version consumed without learning from it, and why, by event id; None where its
    manifest is not here."""
    if not link.dropped:
        return {}
    try:
        manifest = read_manifest(run / link.location)
    except DamagedCheckpoint:
        return None
    return {dropped.id: dropped.reason for dropped in manifest.dropped}


def _source(
    record: Record, judgment: Judgment, link: Link, dropped: dict[str, str] | None
) -> Source:
    attempt = judgment.attempt
    task = attempt.task
    reason = None if dropped is None else dropped.get(judgment.id)
    return Source(
        judgment=judgment.id,
        attempt=attempt.id,
        task=task.id,
        family=task.family,
        level=task.level,
        critic=judgment.critic,
        counted=len(judgment.unaided),
        correct=sum(verdict.right for verdict in judgment.unaided),
        granted_by=task.weights_version,
        proposed_by=min(versions_of(task.proposal.turn), default=None) if task.proposal else None,
        sampled_by=tuple(
            sorted({v for s in attempt.samples for t in s.turns for v in versions_of(t)})
        ),
        learned=None if dropped is None else reason is None,
        reason=reason or "",
        consumed_by=link.number,
        place=f"{record.topic}/{record.partition}/{record.offset}",
    )


def versions_of(turn: Turn) -> set[int]:
    """The versions that sampled a turn."""
    return {span.version for span in turn.spans}


def steps_shown(path: Sequence[Step], most: int) -> list[Step | int]:
    """The first and the last steps of a path; between them how many are left out."""
    if len(path) <= most:
        return list(path)
    head = most - most // 3
    tail = most - head
    return [*path[:head], len(path) - most, *path[len(path) - tail :]]
