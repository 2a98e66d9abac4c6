"""Signs of life of a group's members. A member counts its own signs that it reads back: whoever
was silent through a whole lease of them is gone. While the broker is away nobody counts, so an
outage expires no one.
"""

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from bus.errors import BusError
from bus.groups import Group, Member
from bus.kafka.cluster.cluster import Cluster
from bus.kafka.cluster.topics import BEATS

BEATS_PER_LEASE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """One of our own members; `expire` is called with every other that has gone silent."""

    group: str
    instance: str
    state: Callable[[], Group]
    expire: Callable[[Member], None]


class Beats:
    def __init__(self, cluster: Cluster, lease_seconds: float) -> None:
        self.lives: list[Life] = []
        self._cluster, self._pause = cluster, lease_seconds / BEATS_PER_LEASE
        self._producer: AIOKafkaProducer | None = None
        self._silence: dict[tuple[str, str], int] = {}
        self.lease_seconds, self._began = lease_seconds, time.monotonic()
        self._last: dict[tuple[str, str], float] = {}

    async def run(self) -> None:
        while True:
            if self.lives:
                try:
                    await self._beat()
                except (KafkaError, BusError, OSError, TimeoutError):
                    await self.stop()
            await asyncio.sleep(self._pause)

    def heard(self, value: bytes) -> None:
        """A sign of life was read, our own ones included."""
        try:
            said = json.loads(value)
            group, instance = str(said["group"]), str(said["instance"])
        except (ValueError, KeyError, TypeError):
            return
        self._silence.pop((group, instance), None)
        self._last[group, instance] = time.monotonic()
        for life in self.lives:
            if (life.group, life.instance) == (group, instance):
                self._count(life)

    def sign(self, group: str, instance: str) -> float:
        """When the last sign of this member was read, 0 before the first."""
        return self._last.get((group, instance), 0.0)

    def silent(self, group: str, instance: str) -> bool:
        """Whether a whole lease has passed without a sign of this member, for all who look on."""
        last = max(self._began, self._last.get((group, instance), 0.0))
        return time.monotonic() - last > self.lease_seconds

    async def stop(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            await self._cluster.stop(producer)

    def _count(self, life: Life) -> None:
        members = life.state().members.values()
        for member in members:
            at = (life.group, member.instance)
            if member.instance == life.instance:
                continue
            self._silence[at] = self._silence.get(at, 0) + 1
            if self._silence[at] > BEATS_PER_LEASE:
                self._silence[at] = 0
                life.expire(member)

    async def _beat(self) -> None:
        if self._producer is None:
            producer = self._cluster.producer()
            await self._cluster.start(producer)
            self._producer = producer
        async with asyncio.timeout(10 * self._pause):
            for life in list(self.lives):
                said = {"group": life.group, "instance": life.instance}
                await self._producer.send_and_wait(
                    self._cluster.topic(BEATS), json.dumps(said).encode(), partition=0
                )
