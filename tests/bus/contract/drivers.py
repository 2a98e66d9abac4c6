"""Every driver of the bus behind one table. A new one joins by an entry in `DRIVERS`."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import pytest

from bus.bus import Bus, Subscription
from bus.kafka.bus import KafkaBus
from bus.kafka.cluster.cluster import Cluster
from bus.memory.bus import MemoryBus
from bus.memory.subscription import MemorySubscription
from bus.sqlite.bus import SqliteBus

KAFKA_LEASE_SECONDS = 2.0
LEASE_SECONDS = 1.0


class Driver(Protocol):
    def open(self) -> Bus:
        """One more client of the one log of this test, as another process would be."""
        ...

    async def die(self, bus: Bus, subscription: Subscription) -> None:
        """The member falls silent; `bus` is its own and is not used again."""
        ...

    async def close(self) -> None: ...


@dataclass
class MemoryDriver:
    bus: MemoryBus = field(default_factory=MemoryBus)

    def open(self) -> Bus:
        return self.bus

    async def die(self, bus: Bus, subscription: Subscription) -> None:
        assert isinstance(subscription, MemorySubscription)
        subscription.lapse()

    async def close(self) -> None:
        await self.bus.close()


@dataclass
class SqliteDriver:
    folder: Path
    buses: list[SqliteBus] = field(default_factory=list)

    def open(self) -> Bus:
        bus = SqliteBus(self.folder / "log.db", lease_seconds=LEASE_SECONDS)
        self.buses.append(bus)
        return bus

    async def die(self, bus: Bus, subscription: Subscription) -> None:
        await bus.close()

    async def close(self) -> None:
        for bus in self.buses:
            await bus.close()


@dataclass
class KafkaDriver:
    cluster: Cluster
    buses: list[KafkaBus] = field(default_factory=list)

    def open(self) -> Bus:
        bus = KafkaBus(self.cluster, lease_seconds=KAFKA_LEASE_SECONDS)
        self.buses.append(bus)
        return bus

    async def die(self, bus: Bus, subscription: Subscription) -> None:
        await bus.close()

    async def close(self) -> None:
        for bus in self.buses:
            await bus.close()


DRIVERS: dict[str, Callable[[pytest.FixtureRequest], Driver]] = {
    "memory": lambda _: MemoryDriver(),
    "sqlite": lambda request: SqliteDriver(request.getfixturevalue("tmp_path")),
    "kafka": lambda request: KafkaDriver(request.getfixturevalue("cluster")),
}

Run = Callable[[Callable[[Driver], Awaitable[None]]], None]
"""Runs a scenario over one driver."""
