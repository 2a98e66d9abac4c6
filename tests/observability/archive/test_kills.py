"""An archivist that is killed at any moment leaves what another goes on from: every record once,
and in the end the bytes that one makes who was never disturbed. Killed while it trims, it takes
nothing from the log that is not in the archive.
"""

import asyncio
import subprocess
import sys
from collections import Counter
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


def kill(log: str, archive: Path, kills: int, *more: str) -> None:
    words = [sys.executable, killed.__file__, log, str(archive), str(kills), "7", *more]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.stdout == f"{kills}\n", done.stderr


def check(bus: Bus, folder: Path) -> None:
    """What was left is gone on from."""
    archived(bus.log, folder / "archive", block=killed.BLOCK)
    archived(bus.log, folder / "undisturbed", block=killed.BLOCK)
    assert contents(folder / "archive") == contents(folder / "undisturbed")
    assert rows(folder / "archive") == places(bus.log)
    assert records(read(folder / "archive")) == records(bus.log)


def trimmed(bus: Bus, log: str, folder: Path, kills: int) -> None:
    """Kill whoever keeps the log short; in the end nothing is missing."""
    archived(bus.log, folder / "archive", block=killed.BLOCK)
    kill(log, folder / "archive", kills, "trim")
    asyncio.run(bus.publish(EVENTS))
    asyncio.run(killed.kept_short(bus, folder / "archive"))
    whole = killed.whole(bus.log, folder)
    topics = [topic for _, topic in killed.GROUPS]
    ends = {at: end for at, end in bus.log.heads().items() if at[0] in topics}
    assert bus.log.starts() == {
        at: end - killed.KEPT for at, end in ends.items() if end > killed.KEPT
    }
    said = Counter(record.event_id for of in records(whole).values() for record in of)
    assert set(said.values()) == {1}
    assert {event.id for event in EVENTS} <= said.keys()
    archived(whole, folder / "archive")
    archived(whole, folder / "undisturbed", block=killed.BLOCK)
    assert contents(folder / "archive") == contents(folder / "undisturbed")


@pytest.mark.long
def test_trimming_on_sqlite(tmp_path: Path) -> None:
    bus = SqliteBus(tmp_path / "log.sqlite")
    trimmed(bus, str(tmp_path / "log.sqlite"), tmp_path, 50)
    asyncio.run(bus.close())


@pytest.mark.long
def test_trimming_on_kafka(cluster: Cluster, tmp_path: Path) -> None:
    bus = KafkaBus(cluster)
    try:
        trimmed(bus, f"{cluster.bootstrap_servers}/{cluster.app}", tmp_path, 50)
    finally:
        asyncio.run(bus.close())


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
