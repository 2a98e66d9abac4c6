"""The rows of the Kafka benchmark: every client on the same broker, one core for the clients and
the other for the broker, first with an instant handler, then with slow ones and under kills.
"""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from statistics import median
from uuid import uuid4

from benchmarks.kafka.client import ROWS
from benchmarks.kafka.trial import START_SECONDS, Count, Speed, Trial
from benchmarks.kafka.work import Job

EVOLVENT, RAW = "evolvent", "raw_aiokafka"


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is measured: events and seconds of a phase, questions of a kill."""

    rounds: int
    events: int
    instant_seconds: float
    paced_per_second: int
    paced_seconds: float
    slow_events: int
    slow_seconds: float
    slow_per_second: int
    patience_seconds: float
    kills: int
    asked_per_kill: int
    grace_seconds: float
    transactions: int
    starts: tuple[int, ...]
    small_starts: tuple[int, ...]
    together: bool
    """The slow trials side by side, which saves time and costs precision."""


FULL = Size(
    rounds=3,
    events=20_000,
    instant_seconds=10.0,
    paced_per_second=400,
    paced_seconds=5.0,
    slow_events=3_000,
    slow_seconds=10.0,
    slow_per_second=40,
    patience_seconds=30.0,
    kills=20,
    asked_per_kill=150,
    grace_seconds=15.0,
    transactions=300,
    starts=(1_000, 10_000, 100_000),
    small_starts=(1_000, 10_000),
    together=False,
)
QUICK = Size(
    rounds=1,
    events=2_500,
    instant_seconds=1.5,
    paced_per_second=200,
    paced_seconds=0.6,
    slow_events=150,
    slow_seconds=2.5,
    slow_per_second=40,
    patience_seconds=20.0,
    kills=2,
    asked_per_kill=40,
    grace_seconds=1.0,
    transactions=30,
    starts=(1_000, 10_000),
    small_starts=(200,),
    together=True,
)


@dataclass(slots=True)
class Measured:
    """Of one row, as it grows."""

    speeds: list[Speed] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    slow: Speed | None = None
    slow_seconds: list[float] = field(default_factory=list)
    kills: int = 0
    """Of somebody at work."""
    count: Count = field(default_factory=Count)

    def figures(self, row: str) -> dict[str, object]:
        assert self.slow is not None
        return {
            "guarantee": ROWS[row].guarantee,
            "out_of_order": ROWS[row].out_of_order,
            "events_per_second": round(median(one.events_per_second for one in self.speeds)),
            "p50_ms": quantile(self.seconds, 0.5),
            "p99_ms": quantile(self.seconds, 0.99),
            "cpu_seconds_per_1000": round(
                median(one.cpu_seconds_per_1000 for one in self.speeds), 4
            ),
            "slow_events_per_second": round(self.slow.events_per_second, 1),
            "slow_p50_ms": quantile(self.slow_seconds, 0.5),
            "slow_p99_ms": quantile(self.slow_seconds, 0.99),
            "slow_cpu_seconds_per_1000": round(self.slow.cpu_seconds_per_1000, 4),
            "kills": self.kills,
            "lost": self.count.lost,
            "duplicated": self.count.duplicated,
            "unfinished": self.count.unfinished,
        }


def cores() -> tuple[int, int]:
    """One for the broker and the questions, one for the clients; the same if there is one only."""
    ours = sorted(os.sched_getaffinity(0))
    return ours[0], ours[-1]


def quantile(seconds: Sequence[float], share: float) -> float:
    """In milliseconds."""
    return round(1000 * sorted(seconds)[min(int(share * len(seconds)), len(seconds) - 1)], 1)


async def measure(address: str, size: Size, core: int, batch: int) -> dict[str, Measured]:
    """Round by round, so that what disturbs the machine disturbs all rows."""
    measured = {row: Measured() for row in ROWS}
    for number in range(size.rounds):
        for row, one in measured.items():
            await _instant(_job(row, address, batch), size, core, one, first=number == 0)
            print(
                f"{row:32}{one.speeds[-1].events_per_second:10.0f} events/s"
                f"{one.speeds[-1].cpu_seconds_per_1000:10.4f} CPU s per 1,000",
                flush=True,
            )
    at_once = asyncio.Semaphore(len(measured) if size.together else 1)
    await asyncio.gather(
        *(_slowly(row, address, size, core, one, at_once) for row, one in measured.items())
    )
    return measured


async def _slowly(
    row: str, address: str, size: Size, core: int, one: Measured, at_once: asyncio.Semaphore
) -> None:
    async with at_once:
        await _slow(_job(row, address, 0, slow=True), size, core, one)
        print(
            f"{row:32}{one.slow.events_per_second if one.slow else 0:10.1f} events/s slowly, "
            f"{one.kills} kills: {one.count.lost} lost, {one.count.duplicated} duplicated, "
            f"{one.count.unfinished} not done in time",
            flush=True,
        )


def ratio(measured: dict[str, Measured]) -> float:
    """Evolvent's events a second over the raw loop's, instant handler, median of the rounds."""
    pairs = zip(measured[EVOLVENT].speeds, measured[RAW].speeds, strict=True)
    return round(median(ours.events_per_second / raw.events_per_second for ours, raw in pairs), 3)


async def ratio_at(address: str, size: Size, core: int, batch: int) -> float:
    """The same with at most `batch` events in a commit."""
    pair = {row: Measured() for row in (EVOLVENT, RAW)}
    for _ in range(size.rounds):
        for row, one in pair.items():
            await _instant(_job(row, address, batch), size, core, one, first=False)
            speed = one.speeds[-1].events_per_second
            print(f"{row:32}{speed:10.0f} events/s, at most {batch} at once", flush=True)
    return ratio(pair)


def _job(row: str, address: str, batch: int, *, slow: bool = False) -> Job:
    return Job(row=row, address=address, app=f"bench-{uuid4().hex[:10]}", batch=batch, slow=slow)


async def _instant(job: Job, size: Size, core: int, measured: Measured, *, first: bool) -> None:
    async with Trial(job, core) as trial:
        await trial.ask(1)
        trial.start()
        await trial.until_answered(START_SECONDS)
        if first:
            measured.seconds = await trial.latency(
                size.paced_per_second, size.paced_seconds, size.grace_seconds
            )
        with trial.paused():
            await trial.ask(size.events)
        measured.speeds.append(await trial.speed(size.events, size.instant_seconds))


async def _slow(job: Job, size: Size, core: int, measured: Measured) -> None:
    moments = Random(job.row)
    async with Trial(job, core) as trial:
        await trial.ask(1)
        trial.start()
        await trial.until_answered(START_SECONDS)
        measured.slow_seconds = await trial.latency(
            size.slow_per_second, size.paced_seconds, size.grace_seconds
        )
        await trial.ask(size.slow_events)
        measured.slow = await trial.speed(size.slow_events, size.slow_seconds)
        for _ in range(size.kills):
            before = await trial.num_visible()
            await trial.ask(size.asked_per_kill)
            at_work = False
            for _ in range(int(START_SECONDS / 0.05)):
                if at_work := await trial.num_visible() > before:
                    break
                await asyncio.sleep(0.05)
            await asyncio.sleep(moments.uniform(0.05, 0.6))
            measured.kills += trial.kill() and at_work
            trial.start()
        await trial.until_answered(size.patience_seconds)
        trial.kill()
        measured.count = await trial.count()
