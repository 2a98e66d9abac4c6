"""How far the groups are behind: per group and topic, what is done, what waits, and for how long.
Knows no role; the numbers are those of `Log.lag`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from bus.log import Log
from bus.records import Lag


@dataclass(frozen=True, slots=True, kw_only=True)
class Oldest:
    """The first record of a partition that is not done. `created_at` is None when the record
    does not say it."""

    partition: int
    offset: int
    created_at: datetime | None

    def age_seconds(self, now: datetime) -> float | None:
        return None if self.created_at is None else (now - self.created_at).total_seconds()


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A group on one topic: `lags` and `oldest` are those of its partitions."""

    group: str
    topic: str
    lags: Sequence[Lag]
    oldest: Sequence[Oldest]

    @property
    def owners(self) -> list[str]:
        return sorted({lag.owner for lag in self.lags if lag.owner})

    @property
    def base(self) -> int:
        return sum(lag.base for lag in self.lags)

    @property
    def done(self) -> int:
        """Records done beyond the bases."""
        return sum(lag.done for lag in self.lags)

    @property
    def backlog(self) -> int:
        return sum(lag.backlog for lag in self.lags)

    @property
    def epoch(self) -> int:
        return max(lag.epoch for lag in self.lags)

    @property
    def longest(self) -> Oldest | None:
        """The oldest record of all partitions."""
        latest = datetime.max.replace(tzinfo=UTC)
        return min(self.oldest, key=lambda one: one.created_at or latest, default=None)


def standings(log: Log, order: Sequence[str] = ()) -> list[Standing]:
    """Every group on every topic it ever subscribed to: those of `order` first, others by name."""
    found = []
    known = log.groups()
    for group in (*(name for name in order if name in known), *sorted({*known} - {*order})):
        topics: dict[str, list[Lag]] = {}
        for lag in log.lag(group):
            topics.setdefault(lag.topic, []).append(lag)
        for topic, lags in topics.items():
            waiting = [lag for lag in lags if lag.backlog]
            oldest = [_oldest(log, lag) for lag in waiting]
            found.append(Standing(group=group, topic=topic, lags=lags, oldest=oldest))
    return found


def as_json(found: Sequence[Standing], now: datetime) -> list[dict[str, Any]]:
    """One object per group and topic, with its partitions."""
    return [
        {
            "group": one.group,
            "topic": one.topic,
            "owners": one.owners,
            "base": one.base,
            "done": one.done,
            "backlog": one.backlog,
            "epoch": one.epoch,
            "oldest": _as_json(one.longest, now),
            "partitions": [
                {
                    "partition": lag.partition,
                    "owner": lag.owner or None,
                    "base": lag.base,
                    "done": lag.done,
                    "end": lag.end,
                    "backlog": lag.backlog,
                    "epoch": lag.epoch,
                    "oldest": _as_json(
                        next((old for old in one.oldest if old.partition == lag.partition), None),
                        now,
                    ),
                }
                for lag in one.lags
            ],
        }
        for one in found
    ]


def lag_table(found: Sequence[Standing], now: datetime) -> Table:
    """Compact: partitions folded, topics on which nothing ever came left out."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("group", "topic", "owner", "base", "beyond", "waiting", "oldest waits", "epoch"):
        right = name in ("base", "beyond", "waiting", "epoch")
        table.add_column(name, justify="right" if right else "left")
    for one in found:
        if not one.base + one.done + one.backlog:
            continue
        owners = one.owners
        table.add_row(
            one.group,
            one.topic,
            Text(", ".join(owners) or "nobody", style="" if owners else "dim"),
            f"{one.base:,}",
            f"{one.done:,}",
            Text(f"{one.backlog:,}", style="bold" if one.backlog else "dim"),
            _waits(one, now),
            str(one.epoch),
        )
    return table


def _waits(standing: Standing, now: datetime) -> str:
    oldest = standing.longest
    if oldest is None:
        return ""
    place = f"{oldest.partition}@{oldest.offset}"
    age = oldest.age_seconds(now)
    return place if age is None else f"{place}, {_duration(age)}"


def _duration(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0.0):.0f} s"


def _as_json(oldest: Oldest | None, now: datetime) -> dict[str, Any] | None:
    if oldest is None:
        return None
    return {
        "partition": oldest.partition,
        "offset": oldest.offset,
        "created_at": oldest.created_at.isoformat() if oldest.created_at else None,
        "age_seconds": oldest.age_seconds(now),
    }


def _oldest(log: Log, lag: Lag) -> Oldest:
    [record] = log.read(lag.topic, lag.partition, lag.base, lag.base + 1)
    return Oldest(
        partition=lag.partition, offset=lag.base, created_at=_time(record.headers.get("ce_time"))
    )


def _time(text: str | None) -> datetime | None:
    try:
        time = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)
