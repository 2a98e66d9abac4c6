"""A broker that ends with its case, started and stopped as a user does."""

import asyncio
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.broker import free_port
from tests.cases._case import NotTried, evolvent


@dataclass
class There:
    """A broker of this case alone."""

    data: Path
    port: int

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def bus(self, app: str = "case", **options: Any) -> Any:
        from tests.cases._names import KafkaBus

        return KafkaBus(self.cluster(app), **options)

    def cluster(self, app: str = "case") -> Any:
        from tests.cases._names import Cluster

        return Cluster(bootstrap_servers=self.address, app=app)

    def start(self) -> None:
        done = evolvent("kafka", "start", "--dir", self.data, "--port", self.port, seconds=120)
        if done.code != 0:
            raise NotTried(f"no broker can be started here: {done}")

    def kill(self) -> None:
        """As a power cut would: no orderly end."""
        told = json.loads(evolvent("kafka", "status", "--dir", self.data, "--json").out)
        os.kill(told["pid"], signal.SIGKILL)
        while Path(f"/proc/{told['pid']}").exists() and not _is_zombie(told["pid"]):
            time.sleep(0.1)

    async def recreate(self, name: str, partitions: int) -> None:
        """Delete one of the run's topics and make it again as it should be."""
        from aiokafka.admin import NewTopic

        from tests.cases._names import wanted_settings

        cluster = self.cluster()
        topic, settings = cluster.topic(name), wanted_settings(name, 1)
        async with cluster.admin() as admin:
            await admin.delete_topics([topic])
            await asyncio.sleep(3)
            await admin.create_topics([NewTopic(topic, partitions, 1, topic_configs=settings)])
            await asyncio.sleep(2)

    async def write(self, topic: str, value: bytes) -> None:
        """One record of some other program."""
        from aiokafka import AIOKafkaProducer

        producer = AIOKafkaProducer(bootstrap_servers=self.address)
        await producer.start()
        await producer.send_and_wait(topic, value, partition=0)
        await producer.stop()


@contextmanager
def broker(folder: Path) -> Iterator[There]:
    there = There(folder / "broker", free_port())
    try:
        there.start()
        yield there
    finally:
        evolvent("kafka", "stop", "--dir", there.data, seconds=60)


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
