"""A small share of the harm that benchmarks/kafka_faults.py does, and whether an audit would see
what it must not find.
"""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from random import Random

import psutil
import pytest

from benchmarks.kafka_faults import QUICK_SETTINGS, measure, world
from bus.bus import Bus
from bus.config import KafkaConfig
from bus.kafka.cluster.cluster import Cluster
from bus.records import Delivery
from harness.broker import free_port
from harness.kafka_harm import Plan
from harness.link import Link
from harness.planted import is_caught
from harness.strangers import Strangers
from observability.audit.audit import audit
from tests.bus.contract.saying import task


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_harm_of_every_kind_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    with world(tmp_path, free_port(4)) as place:
        plan = replace(Plan.quick(), seconds=600, kills=4, zombies=1, rebalances=1, strangers=1)
        figures = measure(place, plan, 5, QUICK_SETTINGS)
    for damage in ("lost", "duplicated", "trained_twice", "violations", "unburied"):
        assert figures[damage] == 0, figures
    for harm in ("kills", "broker_restarts", "cuts", "zombies", "rebalances", "poison"):
        assert figures[harm] > 0, figures
    assert figures["oversized_refused"] == 1
    assert figures["planted_caught"]


def test_the_audit_catches_a_role_that_publishes_and_commits_in_two_steps(
    kafka: str, tmp_path: Path
) -> None:
    assert asyncio.run(is_caught(tmp_path, kafka, kills=1))


def test_copies_that_strangers_write_are_counted_and_are_on_the_log_once(
    cluster: Cluster, tmp_path: Path
) -> None:
    config = KafkaConfig(bootstrap_servers=cluster.bootstrap_servers, app=cluster.app)
    strangers = Strangers(config, Random(1))

    async def scenario(bus: Bus) -> dict[str, int]:
        async with bus.subscribe(["tasks"], "solver", "solver") as reader:
            await bus.publish([task(index) for index in range(12)])
            await strangers.copy(bus, tmp_path, "tasks")
            await strangers.write_garbage(bus, "tasks")
            found: list[Delivery] = []
            while page := await reader.take(100, 2.0 if len(found) == 12 + 1 else 30.0):
                found += page
            assert len(found) == 12 + 1
            await strangers.write_garbage(bus, "attempts")
            counts = (await asyncio.to_thread(audit, bus.log, tmp_path)).counts
        await bus.close()
        return counts

    counts = asyncio.run(scenario(config.build(tmp_path, create=True)))
    assert counts["duplicated"] == counts["lost"] == 0
    assert counts["events/tasks"] == 12 + 1
    assert counts["strays/copies"] == strangers.copies > 0
    assert counts["strays/unread"] == 1
    assert "strays/void" not in counts


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that sends back what it gets."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    there, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=back, args=(there,), daemon=True).start()

        def back(there: socket.socket) -> None:
            with there:
                while data := there.recv(100):
                    there.sendall(data)

        threading.Thread(target=serve, daemon=True).start()
        yield int(server.getsockname()[1])


@pytest.mark.parametrize("late", [True, False])
def test_a_cut_holds_back_what_one_process_says(echo: int, late: bool) -> None:
    with Link(0, echo) as link, closing(said_to(link, b"before")) as before:
        assert before.recv(100) == b"before"
        assert link.cut(psutil.Process()) == 1
        with closing(said_to(link, b"during")) as during:
            before.sendall(b"held")
            for one in (before, during):
                one.settimeout(0.5)
                with pytest.raises(TimeoutError):
                    one.recv(100)
                one.settimeout(30)
            link.heal(late=late)
            heard = [heard_of(one) for one in (before, during)]
            assert heard == ([b"held", b"during"] if late else [b"", b""])
        with closing(said_to(link, b"after")) as after:
            assert after.recv(100) == b"after"


def test_a_cut_of_another_process_holds_nothing_back(echo: int) -> None:
    with Link(0, echo) as link:
        link.cut(psutil.Process(psutil.Process().ppid()))
        with closing(said_to(link, b"said")) as one:
            assert one.recv(100) == b"said"


def heard_of(there: socket.socket) -> bytes:
    """Nothing where the connection is broken."""
    try:
        return there.recv(100)
    except ConnectionError:
        return b""


def said_to(link: Link, words: bytes) -> socket.socket:
    there = socket.create_connection(("127.0.0.1", link.port), timeout=30)
    there.sendall(words)
    return there
