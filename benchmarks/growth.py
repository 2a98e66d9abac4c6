"""What a log costs by its length: processor time of an event through every role's group, opening,
the memory of a process that has it open, reading it again, and its audit.

    python benchmarks/growth.py [--bus sqlite|kafka] [--sizes 10000 100000 1000000] [--quick]

Events go as in a run: tasks are published, attempts answer them, judgments answer those, and the
trainer completes them. `flat` holds each figure at the largest size over that at the smallest.
"""

import argparse
import asyncio
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any

import psutil

# Run as a script, this file's neighbours would hide the package `bus`.
sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.audit import events
from bus.bus import Bus, Subscription
from bus.events import Event
from harness.broker import broker

SIZES = (10_000, 100_000, 1_000_000, 10_000_000)
QUICK_SIZES = (10_000, 100_000)
BATCH = 100
FILLED = 1_000
"""Tasks that are published and answered at once, while the clock runs and before."""

PROBE = 9_000
"""Events that are timed at each size, at least; they are made before."""

AGAIN = 5_000
"""Events of a partition that are read again."""

OPENINGS = 3
GROUPS = (("solver", "tasks"), ("critic", "attempts"), ("trainer", "judgments"))


class Roles:
    """Every group's only member; the answers lie ready."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self._members = [bus.subscribe([topic], group, f"{group}-0") for group, topic in GROUPS]

    async def work(self, batch: Sequence[tuple[Event, Event, Event]]) -> None:
        answers = {one: more for chain in batch for one, more in _pairs(*chain)}
        await self.bus.publish([task for task, _, _ in batch])
        for member in self._members:
            await _completed(member, len(batch), answers)

    async def leave_open(self, triple: tuple[Event, Event, Event]) -> None:
        """A judgment for whoever opens the log next."""
        answers = dict(_pairs(*triple))
        await self.bus.publish(triple[:1])
        for member in self._members[:-1]:
            await _completed(member, 1, answers)

    async def close(self) -> None:
        for member in self._members:
            await member.close()


def _pairs(*chain: Event) -> Iterator[tuple[str, list[Event]]]:
    for index, one in enumerate(chain):
        yield one.id, list(chain[index + 1 : index + 2])


async def _completed(member: Subscription, count: int, answers: dict[str, list[Event]]) -> None:
    while count:
        taken = await member.take(count)
        outputs = [more for one in taken for more in answers[one.record.event_id]]
        await member.complete(taken, outputs)
        count -= len(taken)


class Stream:
    """What is said, in its order, made as it is needed."""

    def __init__(self) -> None:
        self._events = events(10**9)
        self.first = next(self._events)
        self.count = 1

    def batches(self, number: int, size: int) -> list[list[tuple[Event, Event, Event]]]:
        made = list(islice(self._events, number * 3 * size))
        self.count += len(made)
        triples = [(made[at], made[at + 1], made[at + 2]) for at in range(0, len(made), 3)]
        return [triples[at : at + size] for at in range(0, len(triples), size)]


async def grown(roles: Roles, stream: Stream, size: int) -> float:
    """Fill the log to `size` events; microseconds of the processor an event of the last ones."""
    said = time.monotonic()
    while stream.count < size - PROBE - 3 * FILLED:
        for batch in stream.batches(1, FILLED):
            await roles.work(batch)
        if time.monotonic() - said > 5:
            said = time.monotonic()
            print(f"{stream.count:>10,} of {size:,} events", file=sys.stderr, flush=True)
    prepared = stream.batches(max(1, -((stream.count - size) // (3 * BATCH))), BATCH)
    gc.collect()
    gc.freeze()
    started = time.process_time()
    for batch in prepared:
        await roles.work(batch)
    return (time.process_time() - started) / (len(prepared) * 3 * BATCH) * 1e6


def open_bus(place: str, *, read_only: bool = False) -> Bus:
    if place.endswith(".sqlite"):
        from bus.sqlite.bus import SqliteBus

        return SqliteBus(Path(place), read_only=read_only)
    from bus.kafka.bus import KafkaBus
    from bus.kafka.cluster.cluster import Cluster

    return KafkaBus(Cluster(bootstrap_servers=place, app="growth"), read_only=read_only)


async def opened(place: str) -> dict[str, float]:
    """In a process of its own: what it takes to open the log and hold a first record."""
    import_module("bus.sqlite.bus" if place.endswith(".sqlite") else "bus.kafka.bus")
    memory = psutil.Process().memory_info().rss
    started = time.perf_counter()
    bus = open_bus(place)
    member = bus.subscribe(["judgments"], "trainer", "trainer-0")
    taken = await member.take(1)
    seconds = time.perf_counter() - started
    grown_by = psutil.Process().memory_info().rss - memory
    await member.complete(taken, [])
    await member.close()
    await bus.close()
    return {"seconds": seconds, "bytes": grown_by}


async def read_again(place: str) -> dict[str, float]:
    """In a process of its own: the last records of a partition, through a bus for reading only."""
    bus = open_bus(place, read_only=True)
    end = bus.log.heads()["attempts", 0]
    started = time.perf_counter()
    count = sum(1 for _ in bus.log.read("attempts", 0, max(0, end - AGAIN)))
    seconds = time.perf_counter() - started
    await bus.close()
    return {"seconds": seconds, "events": count}


async def audited(place: str) -> dict[str, float]:
    """In a process of its own: an audit of the whole log."""
    from observability.audit.audit import audit

    bus = open_bus(place, read_only=True)
    await asyncio.to_thread(Path("/proc/self/clear_refs").write_text, "5")
    memory, started = _peak(), time.perf_counter()
    with tempfile.TemporaryDirectory() as run:
        found = audit(bus.log, Path(run))
    seconds = time.perf_counter() - started
    await bus.close()
    return {"seconds": seconds, "bytes": _peak() - memory, "events": found.counts["events"]}


def _peak() -> int:
    """The most memory of this process since its peak was forgotten, in bytes (Linux)."""
    [line] = [one for one in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in one]
    return int(line.split()[1]) * 1024


ASKED = {"opened": opened, "read_again": read_again, "audited": audited}


def asked(what: str, place: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--ask", what, place]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def look(place: str, stream: Stream) -> dict[str, float]:
    """What others see of the log at its present length."""
    openings = [asked("opened", place) for _ in range(OPENINGS)]
    again, audit = asked("read_again", place), asked("audited", place)
    if audit["events"] != stream.count:
        raise SystemExit(f"{stream.count} events were said, the audit saw {audit['events']:.0f}")
    return {
        "opening_seconds": round(min(one["seconds"] for one in openings), 3),
        "memory_mib": round(min(one["bytes"] for one in openings) / 2**20, 1),
        "read_again_microseconds": round(again["seconds"] / again["events"] * 1e6, 1),
        "audit_microseconds": round(audit["seconds"] / audit["events"] * 1e6, 1),
        "audit_mib": round(audit["bytes"] / 2**20, 1),
    }


async def measure(place: str, sizes: Sequence[int]) -> dict[str, dict[str, float]]:
    stream, figures = Stream(), dict[str, dict[str, float]]()
    for size in sizes:
        bus = open_bus(place)
        if not figures:
            await bus.publish([stream.first])
        roles = Roles(bus)
        cpu = await grown(roles, stream, size)
        for triple in [one for batch in stream.batches(1, OPENINGS) for one in batch]:
            await roles.leave_open(triple)
        await roles.close()
        await bus.close()
        figures[str(size)] = {"cpu_microseconds": round(cpu, 1)}
        figures[str(size)] |= await asyncio.to_thread(look, place, stream)
        shown = ", ".join(f"{name} {figure}" for name, figure in figures[str(size)].items())
        print(f"{size:>10,} events: {shown}", flush=True)
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(description="What a log costs by its length.")
    parser.add_argument("--bus", choices=("sqlite", "kafka"), default="sqlite")
    parser.add_argument("--sizes", type=int, nargs="+", help=f"[default: {SIZES}]")
    parser.add_argument("--quick", action="store_true", help="up to 100,000 events")
    parser.add_argument("--ask", nargs=2, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.ask:
        what, place = chosen.ask
        print(json.dumps(asyncio.run(ASKED[what](place))))
        return 0
    sizes = sorted(chosen.sizes or (QUICK_SIZES if chosen.quick else SIZES))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="evolvent-growth-")))
        place = str(folder / "log.sqlite")
        if chosen.bus == "kafka":
            place = stack.enter_context(broker(folder))
        figures = asyncio.run(measure(place, sizes))
    first, last = figures[str(sizes[0])], figures[str(sizes[-1])]
    flat: dict[str, Any] = {name: round(last[name] / first[name], 2) for name in first}
    print(json.dumps({"bus": chosen.bus, "sizes": figures, "flat": flat}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
