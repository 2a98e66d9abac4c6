"""What other verdicts, another filter or another rule would have made of what is on the log:
counted as it is read, with the first examples. Knows no log, no judge and no recipe.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from bus.events import Judgment, Promotion, Verdict
from observability.replay.again import is_same
from observability.replay.gains import Gains

_EXAMPLES = 5
_VERSIONS = 20


@dataclass(slots=True, kw_only=True)
class Verdicts:
    """Of so many `samples` so many verdicts `differ`, in so many judgments; a critic would have
    `rejected` so many attempts."""

    judgments: int = 0
    samples: int = 0
    differ: int = 0
    differ_in: int = 0
    now_right: int = 0
    now_wrong: int = 0
    now_known: int = 0
    now_unknown: int = 0
    rejected: int = 0
    examples: list[dict[str, Any]] = field(default_factory=list)

    def add(self, judgment: Judgment, again: tuple[Verdict, ...] | str) -> None:
        self.judgments += 1
        self.samples += len(judgment.verdicts)
        if isinstance(again, str):
            self.rejected += 1
            self._show(judgment, rejected=again)
            return
        pairs = list(zip(judgment.verdicts, again, strict=True))
        other = [place for place, pair in enumerate(pairs) if not is_same(*pair)]
        for was, now in (pairs[place] for place in other):
            self.now_right += now.right and not was.right
            self.now_wrong += was.right and not now.right
            self.now_known += now.known and not was.known
            self.now_unknown += was.known and not now.known
        if other:
            was, now = pairs[other[0]]
            self._show(judgment, sample=other[0], was=_said(was), now=_said(now))
        self.differ += len(other)
        self.differ_in += bool(other)

    def _show(self, judgment: Judgment, **more: Any) -> None:
        if len(self.examples) < _EXAMPLES:
            ids = {"judgment": judgment.id, "task": judgment.attempt.task.id}
            self.examples.append(ids | more)


def _said(verdict: Verdict) -> dict[str, Any]:
    return {"reward": verdict.reward, "known": verdict.known, "reason": verdict.reason}


@dataclass(slots=True)
class Sums:
    """Rewards of so many samples, without those that had a hint."""

    samples: int = 0
    was: float = 0.0
    now: float = 0.0

    def add(self, was: Judgment, now: Judgment) -> None:
        self.samples += len(was.unaided)
        self.was += sum(verdict.reward for verdict in was.unaided)
        self.now += sum(verdict.reward for verdict in now.unaided)

    def as_json(self) -> dict[str, Any]:
        count = self.samples or 1
        return {"samples": self.samples, "was": self.was / count, "now": self.now / count}


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What a version learned from, and what it would have: the judgments that the rule of staleness
    admits and the filter leaves, each with its verdicts."""

    version: int
    was: Sequence[Judgment]
    now: Sequence[Judgment]

    @property
    def gained(self) -> list[str]:
        return sorted({one.id for one in self.now} - {one.id for one in self.was})

    @property
    def lost(self) -> list[str]:
        return sorted({one.id for one in self.was} - {one.id for one in self.now})

    @property
    def changed(self) -> int:
        """Of how many judgments it would have learned something else."""
        now = {one.id: one for one in self.now}
        pairs = ((one, now[one.id]) for one in self.was if one.id in now)
        return sum(not _teach_the_same(*pair) for pair in pairs)


def _teach_the_same(one: Judgment, other: Judgment) -> bool:
    same = len(one.verdicts) == len(other.verdicts)
    return same and all(map(is_same, one.verdicts, other.verdicts))


@dataclass(slots=True, kw_only=True)
class Versions:
    """So many versions, of which so many `differ` in what they would have learned from: the first
    `rows` of them. From the `first` on the run would have gone another way."""

    compared: int = 0
    differ: int = 0
    first: int | None = None
    rows: list[dict[str, Any]] = field(default_factory=list)

    def add(self, learned: Learned) -> dict[str, Any] | None:
        """What is said of a version that would have learned otherwise."""
        self.compared += 1
        changed, gained, lost = learned.changed, learned.gained, learned.lost
        if not (changed or gained or lost):
            return None
        self.differ += 1
        self.first = learned.version if self.first is None else self.first
        row = {
            "version": learned.version,
            "learned_from": len(learned.was),
            "would_learn_from": len(learned.now),
            "changed": changed,
        }
        if len(self.rows) < _VERSIONS:
            self.rows.append(row | {"gained": len(gained), "lost": len(lost)})
        return row | {"gained": gained, "lost": lost}


@dataclass(slots=True, kw_only=True)
class Batches:
    """Judgments that versions consumed: so many were learned from and would be, were left out by
    the filter or dropped as too old, and would be."""

    judgments: int = 0
    learned: int = 0
    would_learn: int = 0
    filtered: int = 0
    would_filter: int = 0
    stale: int = 0
    would_be_stale: int = 0
    gained: int = 0
    lost: int = 0


@dataclass(slots=True, kw_only=True)
class Promotions:
    """Decisions of gates on the log; of those `resting` on other weights than there would have been
    the first ones."""

    decisions: int = 0
    resting: int = 0
    examples: list[dict[str, Any]] = field(default_factory=list)

    def add(self, event: Promotion, first: int | None) -> None:
        self.decisions += 1
        if first is None or event.weights_version < first:
            return
        self.resting += 1
        if len(self.examples) < _EXAMPLES:
            said = {"version": event.weights_version, "decision": event.decision}
            self.examples.append({"id": event.id} | said)


@dataclass(slots=True, kw_only=True)
class Differences:
    """All of a run, in memory that does not grow with it."""

    gains: Gains
    verdicts: Verdicts = field(default_factory=Verdicts)
    batches: Batches = field(default_factory=Batches)
    versions: Versions = field(default_factory=Versions)
    promotions: Promotions = field(default_factory=Promotions)
    unreadable: int = 0
    _levels: dict[tuple[str, int], Sums] = field(default_factory=lambda: defaultdict(Sums))

    def judged(self, judgment: Judgment, again: tuple[Verdict, ...] | str) -> None:
        """A judgment, and the other verdicts, or why an attempt would have been rejected."""
        self.verdicts.add(judgment, again)
        if not isinstance(again, str):
            task, now = judgment.attempt.task, judgment.model_copy(update={"verdicts": again})
            self._levels[task.family, task.level].add(judgment, now)

    @property
    def none(self) -> bool:
        """Whether all would have been the same."""
        return not (
            self.verdicts.differ
            or self.verdicts.rejected
            or self.versions.differ
            or self.gains.differ
        )

    def as_json(self) -> dict[str, Any]:
        levels = sorted(self._levels.items())
        whole = Sums(*(sum(getattr(one, name) for _, one in levels) for name in _SUMMED))
        return {
            "none": self.none,
            "unreadable": self.unreadable,
            "verdicts": asdict(self.verdicts),
            "rewards": whole.as_json()
            | {
                "levels": [
                    {"family": family, "level": level} | one.as_json()
                    for (family, level), one in levels
                ]
            },
            "advantages": self.gains.as_json(),
            "batches": asdict(self.batches),
            "versions": asdict(self.versions),
            "promotions": asdict(self.promotions),
        }


_SUMMED = ("samples", "was", "now")
