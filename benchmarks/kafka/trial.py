"""One client on topics of its own: asks questions, watches the answers from outside, kills and
counts. Knows no row and no bar.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil
from aiokafka import AIOKafkaProducer

from benchmarks.kafka.views import OurLog, Topics, View
from benchmarks.kafka.work import TOPICS, Job, question, wire
from bus.kafka.bus import KafkaBus
from bus.kafka.cluster.cluster import Cluster
from bus.kafka.cluster.topics import prepare

ROOT = Path(__file__).parents[2]
POLL_SECONDS = 0.015
START_SECONDS = 30.0
SETTLE_SECONDS, QUIET_SECONDS = 0.3, 4.0
"""Without anything new: when there are as many answers as questions, and when there are not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    events_per_second: float
    cpu_seconds_per_1000: float


@dataclass(slots=True, kw_only=True)
class Count:
    """Answers by question. `unfinished` were not done when the trial ended, and may still be."""

    lost: int = 0
    duplicated: int = 0
    unfinished: int = 0


class Trial:
    """`core` is where the client runs."""

    def __init__(self, job: Job, core: int) -> None:
        self.job, self._core = job, core
        self._cluster = Cluster(bootstrap_servers=job.address, app=job.app)
        self._bus: KafkaBus | None = None
        self._asked = 0
        self._client: psutil.Popen | None = None
        self._said = tempfile.TemporaryFile()  # noqa: SIM115

    async def __aenter__(self) -> Self:
        if self.job.row == "evolvent":
            self._bus = await asyncio.to_thread(KafkaBus, self._cluster, topics=TOPICS)
        else:
            await prepare(self._cluster, TOPICS, create=True)
        self._producer = AIOKafkaProducer(
            bootstrap_servers=self.job.address, acks="all", enable_idempotence=True
        )
        await self._producer.start()
        self._view: View = (
            Topics(self.job, self._cluster) if self._bus is None else OurLog(self._bus)
        )
        await self._view.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()
        await self._producer.stop()
        await self._view.stop()
        if self._bus is not None:
            await self._bus.close()
        async with self._cluster.admin() as admin:
            names = [name for name in await admin.list_topics() if name.startswith(self.job.app)]
            await admin.delete_topics(names)

    async def ask(self, count: int) -> list[str]:
        """Write the next questions, evolvent's through its bus; their ids."""
        tasks = [question(index) for index in range(self._asked, self._asked + count)]
        self._asked += count
        if self._bus is not None:
            for start in range(0, count, 1000):
                await self._bus.publish(tasks[start : start + 1000])
        else:
            sent = [
                await self._producer.send(
                    self.job.questions, one.value, one.key, one.partition, headers=one.headers
                )
                for one in map(wire, tasks)
            ]
            await asyncio.gather(*sent)
        return [task.id for task in tasks]

    def start(self) -> None:
        self._client = psutil.Popen(
            [sys.executable, "-m", "benchmarks.kafka.client", json.dumps(asdict(self.job))],
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._said,
        )
        self._client.cpu_affinity([self._core])

    def kill(self) -> bool:
        """With SIGKILL; whether there was somebody to kill."""
        if self._client is None:
            return False
        was_alive = self._client.poll() is None
        self._client.kill()
        self._client.wait()
        self._client = None
        return was_alive

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Meanwhile the client does nothing; shorter than any session or lease."""
        client = self._alive()
        client.suspend()
        yield
        client.resume()

    async def num_visible(self) -> int:
        """Where the answers end."""
        return await self._view.num_visible()

    async def speed(self, count: int, seconds: float) -> Speed:
        """Of what is asked already, from a fifth of `count` on until it is done or time is up."""
        client = self._alive()
        before = await self.num_visible()
        curve: list[tuple[float, int, float]] = []
        until = time.perf_counter() + START_SECONDS
        while (now := time.perf_counter()) < until:
            self._alive()
            cpu = client.cpu_times()
            curve.append((now, await self.num_visible() - before, cpu.user + cpu.system))
            if curve[-1][1] and curve[0][1] == 0 and until > now + seconds:
                curve, until = curve[-1:], now + seconds
            if curve[-1][1] >= count and curve[-1][1] == curve[-min(20, len(curve))][1]:
                break
            await asyncio.sleep(POLL_SECONDS)
        end = curve[-1][1]
        first = next(one for one in curve if one[1] >= end / 5)
        last = next(one for one in curve if one[1] == end)
        # A share of the offsets are marks: the records among them say how many.
        records = len(await self._view.answers()) / max(await self.num_visible(), 1)
        done = (last[1] - first[1]) * records
        return Speed(
            events_per_second=done / max(last[0] - first[0], POLL_SECONDS),
            cpu_seconds_per_1000=1000 * (last[2] - first[2]) / max(done, 1),
        )

    async def latency(self, per_second: int, seconds: float, grace_seconds: float) -> list[float]:
        """Seconds from asking to a visible answer, at a steady rate; for questions that have no
        answer when time is up, how long they have waited."""
        await self._view.arrived()
        asked: dict[str, float] = {}
        took: dict[str, float] = {}
        pause, number = 0.025, max(1, round(per_second * 0.025))

        async def ask() -> None:
            began, index = time.perf_counter(), self._asked
            asked.update((question(index + one).id, began) for one in range(number))
            await self.ask(number)

        async with asyncio.TaskGroup() as tasks:
            begin = time.perf_counter()
            ticks = 0
            while (now := time.perf_counter()) < begin + seconds + grace_seconds:
                if ticks * pause <= now - begin < seconds:
                    ticks += 1
                    tasks.create_task(ask())
                arrived = await self._view.arrived()
                now = time.perf_counter()
                for answered in arrived:
                    if answered in asked:
                        took.setdefault(answered, now - asked[answered])
                if now > begin + seconds and len(took) == len(asked):
                    break
        now = time.perf_counter()
        return [took.get(one, now - began) for one, began in asked.items()]

    async def until_answered(self, seconds: float) -> None:
        """Wait until all is answered, or nothing new becomes visible any more, or time is up."""
        until, start = time.monotonic() + seconds, await self.num_visible()
        changed, last, looked = time.monotonic(), start, False
        while (now := time.monotonic()) < until:
            if (visible := await self.num_visible()) != last:
                changed, last, looked = now, visible, False
            if now > changed + QUIET_SECONDS and last > start:
                return
            if now > changed + SETTLE_SECONDS and last >= self._asked and not looked:
                # Some of the offsets are the broker's own marks.
                looked = True
                if len(set(await self._view.answers())) >= self._asked:
                    return
            await asyncio.sleep(POLL_SECONDS)

    async def count(self) -> Count:
        """What became of the questions; the client must be dead."""
        answers = Counter(await self._view.answers())
        count = Count(duplicated=sum(answers.values()) - len(answers))
        for event_id, done in await self._view.questions():
            if not answers[event_id]:
                count.lost += done
                count.unfinished += not done
        return count

    def _alive(self) -> psutil.Popen:
        assert self._client is not None
        if self._client.poll() is not None:
            self._said.seek(0)
            said = self._said.read().decode(errors="replace")
            raise SystemExit(f"the client of {self.job.row} ended: {said[-2000:]}")
        return self._client
