"""An archivist that is killed at any moment leaves what another goes on from: every record once,
and in the end the bytes that one makes who was never disturbed.
"""

import asyncio
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from bus.bus import Bus
from bus.config import KafkaConfig
from bus.kafka.bus import KafkaBus
from bus.kafka.cluster.cluster import Cluster
from bus.sqlite.bus import SqliteBus
from harness.strangers import Strangers
from tests.observability.archive import killed
from tests.observability.archive.archiving import (
    EVENTS,
    archived,
    contents,
    places,
    read,
    records,
    rows,
)


def kill(log: str, archive: Path, kills: int) -> None:
    words = [sys.executable, killed.__file__, log, str(archive), str(kills), "7"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.stdout == f"{kills}\n", done.stderr


def check(bus: Bus, folder: Path) -> None:
    """What was left is gone on from."""
    archived(bus.log, folder / "archive", block=killed.BLOCK)
    archived(bus.log, folder / "undisturbed", block=killed.BLOCK)
    assert contents(folder / "archive") == contents(folder / "undisturbed")
    assert rows(folder / "archive") == places(bus.log)
    assert records(read(folder / "archive")) == records(bus.log)


@pytest.mark.parametrize("kills", [5, pytest.param(50, marks=pytest.mark.long)])
def test_on_sqlite(kills: int, tmp_path: Path) -> None:
    bus = SqliteBus(tmp_path / "log.sqlite")
    kill(str(tmp_path / "log.sqlite"), tmp_path / "archive", kills)
    asyncio.run(bus.publish(EVENTS))
    check(bus, tmp_path)
    asyncio.run(bus.close())


@pytest.mark.long
def test_on_kafka_among_what_strangers_write(cluster: Cluster, tmp_path: Path) -> None:
    async def disturbed(bus: KafkaBus) -> None:
        config = KafkaConfig(bootstrap_servers=cluster.bootstrap_servers, app=cluster.app)
        strangers = Strangers(config, Random(7))
        for topic in ("tasks", "judgments"):
            await strangers.write_garbage(bus, topic)
            await strangers.copy(bus, tmp_path, topic)

    bus = KafkaBus(cluster)
    try:
        asyncio.run(bus.publish(EVENTS[:90]))
        asyncio.run(disturbed(bus))
        log = f"{cluster.bootstrap_servers}/{cluster.app}"
        kill(log, tmp_path / "archive", 50)
        asyncio.run(disturbed(bus))
        asyncio.run(bus.publish(EVENTS))
        check(bus, tmp_path)
    finally:
        asyncio.run(bus.close())
