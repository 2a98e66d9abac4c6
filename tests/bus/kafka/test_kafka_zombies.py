"""Members that are processes: one that was asleep while others took over, and one that died between
its outputs and its entry.
"""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bus.kafka.bus import KafkaBus
from bus.kafka.cluster.cluster import Cluster
from tests.bus.contract.saying import answer_to, control, take_all
from tests.bus.kafka import member_process
from tests.bus.kafka.test_kafka_bus import plain_read

LEASE_SECONDS = 2.0
COUNT = 4

Process = subprocess.Popen[str]
Start = Callable[..., Process]


@pytest.fixture
def faults(tmp_path: Path) -> Path:
    folder = tmp_path / "faults"
    folder.mkdir()
    return folder


@pytest.fixture
def bus(cluster: Cluster) -> Iterator[KafkaBus]:
    bus = KafkaBus(cluster, lease_seconds=LEASE_SECONDS)
    asyncio.run(bus.publish([control(index) for index in range(COUNT)]))
    yield bus
    asyncio.run(bus.close())


@pytest.fixture
def start(cluster: Cluster, bus: KafkaBus, faults: Path) -> Iterator[Start]:
    """A process that holds all records there are, as `member`."""
    started: list[Process] = []

    def start() -> Process:
        process = subprocess.Popen(
            (
                *(sys.executable, member_process.__file__),
                *(cluster.bootstrap_servers, cluster.app, "member", str(COUNT)),
                str(LEASE_SECONDS),
            ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "EVOLVENT_FAULTS": str(faults)},
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "taken\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def tell(process: Process) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


async def finish(bus: KafkaBus, member: str) -> float:
    """Complete everything as this member; the seconds it took from joining on."""
    began = time.monotonic()
    async with bus.subscribe(["control"], "group", member) as subscription:
        taken = await take_all(subscription, COUNT)
        await subscription.complete(taken, [answer_to(one, member) for one in taken])
    return time.monotonic() - began


def test_a_sleeper_whose_lease_has_passed_is_fenced_and_leaves_nothing(
    cluster: Cluster, bus: KafkaBus, start: Start
) -> None:
    zombie = start()
    zombie.send_signal(signal.SIGSTOP)
    asyncio.run(finish(bus, "heir"))
    tell(zombie)
    zombie.send_signal(signal.SIGCONT)
    said, _ = zombie.communicate(timeout=30)
    assert said == "Fenced\n"
    assert {record.event().agent for record in bus.read("promotions")} == {"heir"}
    asyncio.run(plain_read(cluster, "promotions", COUNT))
    assert [lag.backlog for lag in bus.lag("group")] == [0]


@pytest.mark.parametrize("successor", ["member", "heir"])
def test_who_dies_before_its_entry_has_said_nothing_and_holds_nobody_up(
    successor: str, bus: KafkaBus, start: Start, faults: Path
) -> None:
    killed = start()
    (faults / "bus.committing").touch()
    tell(killed)
    assert killed.wait(30) == -signal.SIGKILL
    asyncio.run(asyncio.wait_for(bus.publish([control(COUNT)]), 5))
    assert bus.heads()["promotions", 0] == 0
    asyncio.run(finish(bus, successor))
    assert {record.event().agent for record in bus.read("promotions")} == {successor}
    # Other programs see what was written in vain, marked as ours; on the log it is not.
    assert len([one for one in bus.strays() if one.ours]) == COUNT


def test_who_dies_after_its_commit_has_done_its_work(
    cluster: Cluster, bus: KafkaBus, start: Start, faults: Path
) -> None:
    killed = start()
    (faults / "bus.committed").touch()
    tell(killed)
    assert killed.wait(30) == -signal.SIGKILL
    assert {record.event().agent for record in bus.read("promotions")} == {"member"}
    assert [lag.backlog for lag in bus.lag("group")] == [0]
