"""What many members of one group cost, on one broker: each has a partition and a client of its own.

    python benchmarks/fleet.py [--members 64] [--events 64000] [--quick]

Tasks are published while the members work; the handler is instant. Every member reads its own
partition and the whole journal. `fan_out` is what a member receives for each byte that all write.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import psutil

# Run as a script, this file's neighbours would hide the package `bus`.
sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.kafka.work import answer, question
from bus.bus import Subscription
from bus.events import Promotion
from bus.kafka.bus import KafkaBus
from bus.kafka.cluster.cluster import Cluster
from bus.kafka.cluster.sizes import topic_bytes
from harness.broker import broker
from harness.runs import say, show
from harness.shown import exit_code

GROUP, QUESTIONS, ANSWERS = "solver", "tasks", "promotions"
BATCH = 100
"""The most events of one commit."""

PER_PROCESS = 8
PUBLISHED_AT_ONCE = 500
LEASE_SECONDS = 60.0
PATIENCE_SECONDS = 300.0


@dataclass(slots=True)
class Wire:
    """Bytes that this process received and sent, wherever asyncio has a connection."""

    received: int = 0
    sent: int = 0

    def watch(self) -> None:
        feed, write = asyncio.StreamReader.feed_data, asyncio.StreamWriter.write

        def fed(reader: asyncio.StreamReader, data: Any) -> None:
            self.received += len(data)
            feed(reader, data)

        def written(writer: asyncio.StreamWriter, data: Any) -> None:
            self.sent += len(data)
            write(writer, data)

        asyncio.StreamReader.feed_data = fed  # type: ignore[assignment, method-assign]
        asyncio.StreamWriter.write = written  # type: ignore[assignment, method-assign]


async def serve(cluster: Cluster, names: Sequence[str]) -> None:
    """Some members, each on a bus of its own, until the input ends; says what they did."""
    wire, had, commits = Wire(), Counter[str](), Counter[str]()
    wire.watch()
    buses = [
        await asyncio.to_thread(KafkaBus, cluster, create=False, lease_seconds=LEASE_SECONDS)
        for _ in names
    ]

    async def work(member: Subscription, name: str) -> None:
        while True:
            taken = await member.take(BATCH, 5.0)
            if taken:
                await member.complete(taken, [answer(one.event()) for one in taken])
                had[name] += len(taken)
                commits[name] += 1

    members = [
        await asyncio.to_thread(bus.subscribe, [QUESTIONS], GROUP, name)
        for bus, name in zip(buses, names, strict=True)
    ]
    working = [
        asyncio.ensure_future(work(member, name))
        for member, name in zip(members, names, strict=True)
    ]
    print("ready", flush=True)
    before: dict[str, float] = {}
    while await asyncio.to_thread(sys.stdin.readline):
        before = {"cpu": time.process_time(), "received": wire.received, "sent": wire.sent}
        print("begun", flush=True)
    now = {"cpu": time.process_time(), "received": wire.received, "sent": wire.sent}
    said = {name: value - before[name] for name, value in now.items()}
    print(json.dumps(said | {"had": had, "commits": commits}), flush=True)
    for one in working:
        if one.done():
            one.result()
        one.cancel()
    os._exit(0)  # what leaving costs is no figure here


@dataclass(slots=True)
class Fleet:
    """The processes of the members."""

    address: str
    app: str
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, names: Sequence[str]) -> None:
        for first in range(0, len(names), PER_PROCESS):
            job = json.dumps([self.address, self.app, names[first : first + PER_PROCESS]])
            self.processes.append(
                subprocess.Popen(
                    [sys.executable, __file__, "--serve", job],
                    env={**os.environ, "OMP_NUM_THREADS": "1"},
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )

    def hear(self, word: str) -> None:
        for process in self.processes:
            said = _pipe(process.stdout).readline().strip()
            if said != word:
                raise RuntimeError(f"a process of the fleet said {said!r}, not {word!r}")

    def begin(self) -> None:
        for process in self.processes:
            _pipe(process.stdin).write("begin\n")
            _pipe(process.stdin).flush()
        self.hear("begun")

    def ended(self) -> list[dict[str, Any]]:
        for process in self.processes:
            _pipe(process.stdin).close()
        return [json.loads(_pipe(process.stdout).readline()) for process in self.processes]

    def kill(self) -> None:
        for process in self.processes:
            with process:  # its pipes are closed, and its end is waited for
                process.kill()


def _pipe(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None
    return pipe


async def spread(bus: KafkaBus, members: int) -> None:
    """Wait until every member owns one partition."""
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        owners = Counter(lag.owner for lag in await asyncio.to_thread(bus.lag, GROUP))
        if len(owners) == members and "" not in owners:
            return
        if time.monotonic() > until:
            raise RuntimeError(f"only {len(owners)} of {members} members own a partition")
        await asyncio.sleep(0.5)


async def finished(bus: KafkaBus, fleet: Fleet, events: int) -> None:
    """Wait until the group has done everything."""
    until = time.monotonic() + PATIENCE_SECONDS
    while sum(lag.done + lag.base for lag in await asyncio.to_thread(bus.lag, GROUP)) < events:
        if time.monotonic() > until or any(one.poll() is not None for one in fleet.processes):
            return
        await asyncio.sleep(0.1)


async def bytes_of(cluster: Cluster, partitions: int) -> dict[str, int]:
    named = {cluster.topic(QUESTIONS): range(partitions), cluster.topic(ANSWERS): range(1)}
    async with cluster.admin() as admin:
        return await topic_bytes(admin, named | {cluster.topic("journal"): range(1)})


async def measure(cluster: Cluster, members: int, events: int) -> dict[str, Any]:
    """So many members on a new log of as many partitions; the figures."""
    address = cluster.bootstrap_servers
    bus = await asyncio.to_thread(
        KafkaBus, cluster, partitions=members, lease_seconds=LEASE_SECONDS
    )
    fleet = Fleet(address, cluster.app)
    try:
        opened = time.monotonic()
        fleet.start([f"solver-{number}" for number in range(members)])
        await asyncio.to_thread(fleet.hear, "ready")
        await spread(bus, members)
        ready_seconds = time.monotonic() - opened
        say(f"{members} members own a partition each after {ready_seconds:.1f} s")
        server = _cpu_of_listener(address)
        before = await bytes_of(cluster, members)
        await asyncio.to_thread(fleet.begin)
        began = time.monotonic()
        asked = [question(index) for index in range(events)]
        for start in range(0, events, PUBLISHED_AT_ONCE):
            await bus.publish(asked[start : start + PUBLISHED_AT_ONCE])
        await finished(bus, fleet, events)
        seconds = time.monotonic() - began
        after = await bytes_of(cluster, members)
        server = _cpu_of_listener(address) - server
        said = await asyncio.to_thread(fleet.ended)
        answers = Counter(await asyncio.to_thread(_answered, bus))
    finally:
        fleet.kill()
        await bus.close()
    had = sum((Counter(one["had"]) for one in said), Counter[str]())
    commits = sum(sum(one["commits"].values()) for one in said)
    received = sum(one["received"] for one in said)
    written = sum(after.values()) - sum(before.values())
    journal = after[cluster.topic("journal")] - before[cluster.topic("journal")]
    return {
        "members": members,
        "events": events,
        "members_without_work": members - len(+had),
        "fewest_events_of_a_member": min((had[name] for name in had), default=0),
        "most_events_of_a_member": max(had.values(), default=0),
        "lost": sum(task.id not in answers for task in asked),
        "duplicated": sum(answers.values()) - len(answers),
        "ready_seconds": round(ready_seconds, 1),
        "seconds": round(seconds, 1),
        "events_per_second": round(events / seconds),
        "commits_per_second": round(commits / seconds, 1),
        "events_per_commit": round(events / max(commits, 1), 1),
        "cpu_microseconds_per_event": round(sum(one["cpu"] for one in said) / events * 1e6),
        "broker_cpu_microseconds_per_event": round(server / events * 1e6),
        "bytes_received_per_event": round(received / events),
        "bytes_sent_per_event": round(sum(one["sent"] for one in said) / events),
        "bytes_written_per_event": round(written / events),
        "journal_bytes_per_event": round(journal / events),
        "fan_out": round(received / members / written, 3),
    }


def _answered(bus: KafkaBus) -> list[str]:
    events = (record.event() for record in bus.read(ANSWERS))
    return [event.weights for event in events if isinstance(event, Promotion)]


def _cpu_of_listener(address: str) -> float:
    """Seconds of the process that listens at an address of this machine."""
    port = int(address.rpartition(":")[2])
    for one in psutil.net_connections("tcp"):
        if one.status == psutil.CONN_LISTEN and one.pid and tuple(one.laddr)[1:] == (port,):
            return sum(psutil.Process(one.pid).cpu_times()[:2])
    return 0.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--members", type=int, default=64, help="and partitions")
    parser.add_argument("--events", type=int, default=64_000)
    parser.add_argument("--quick", action="store_true", help="6,400 events")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        address, app, names = json.loads(arguments.serve)
        asyncio.run(serve(Cluster(bootstrap_servers=address, app=app), names))
    if arguments.quick:
        arguments.events = min(arguments.events, 6_400)
    with (
        tempfile.TemporaryDirectory(prefix="evolvent-fleet-") as folder,
        broker(Path(folder)) as address,
    ):
        cluster = Cluster(bootstrap_servers=address, app="fleet")
        figures = asyncio.run(measure(cluster, arguments.members, arguments.events))
    show(figures)
    return exit_code(figures, {}, ("members_without_work", "lost", "duplicated"))


if __name__ == "__main__":
    sys.exit(main())
