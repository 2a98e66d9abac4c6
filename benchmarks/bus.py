"""What one event costs on the embedded bus: throughput with exactly-once completion, cost by
length of the log, start-up by length of the log, the same rows through plain SQLite, and what is
left of the throughput beside a process that reads all of the log again and again. Or on Kafka,
beside a plain aiokafka loop and the libraries of others, with kills.

    python benchmarks/bus.py [--kafka] [--quick]
"""

import argparse
import asyncio
import gc
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from statistics import median

import apsw

# Run as a script, this file would hide the package of its own name.
sys.path.insert(0, str(Path(__file__).parents[1]))

from bus.events import Control, derive_id
from bus.sqlite.bus import SqliteBus
from bus.sqlite.log import to_entries
from bus.topics import TOPICS

BATCH = 100
EVENT_BYTES = 1024
GROUP = "bench"


def event(index: int, payload: str) -> Control:
    return Control(
        id=derive_id("bench", "publisher", str(index)),
        run="bench",
        agent="publisher",
        command="pause",
        settings={"payload": payload},
    )


def payload(random: Random) -> str:
    """Text that makes the body of an event `EVENT_BYTES` long."""
    empty = len(to_entries([event(0, "")], TOPICS)[0].value)
    return random.randbytes(EVENT_BYTES).hex()[: EVENT_BYTES - empty]


def batches(first: int, count: int, random: Random) -> Iterator[list[Control]]:
    for start in range(first, first + count, BATCH):
        end = min(start + BATCH, first + count)
        yield [event(index, payload(random)) for index in range(start, end)]


async def through(path: Path, prepared: Sequence[Sequence[Control]]) -> tuple[float, float]:
    """Seconds, and those of the processor, to publish the batches and to take and complete all
    of their events."""
    bus = SqliteBus(path)
    subscription = bus.subscribe(["control"], GROUP, "consumer")
    expected = sum(len(batch) for batch in prepared)

    async def publish() -> None:
        for batch in prepared:
            await bus.publish(batch)

    async def consume() -> None:
        done = 0
        while done < expected:
            taken = await subscription.take(BATCH)
            await subscription.complete(taken, [])
            done += len(taken)

    # What was prepared is not part of the cost, nor is the collector's walk over it.
    gc.collect()
    gc.freeze()
    started, cpu_before = time.perf_counter(), time.process_time()
    await asyncio.gather(publish(), consume())
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu_before
    (lag,) = bus.lag(GROUP)
    if lag.backlog:
        raise SystemExit(f"{lag.backlog} events were not completed")
    await subscription.close()
    await bus.close()
    return seconds, cpu


def through_raw_sqlite(path: Path, prepared: Sequence[Sequence[Control]]) -> float:
    """Seconds for the same rows and the same number of transactions through apsw alone: one
    `executemany` per batch into a table with a unique id, one read and one cursor update."""
    connection = apsw.Connection(str(path))
    connection.pragma("journal_mode", "WAL")
    connection.pragma("synchronous", "NORMAL")
    connection.execute(
        "CREATE TABLE log (off INTEGER PRIMARY KEY, id BLOB UNIQUE, key, headers, value);"
        "CREATE TABLE cursor (base); INSERT INTO cursor VALUES (0)"
    )
    encoded = [to_entries(batch, TOPICS) for batch in prepared]
    off = 0
    started = time.perf_counter()
    for batch in encoded:
        rows = [
            (off + index, entry.event_id, entry.key, entry.headers, entry.value)
            for index, entry in enumerate(batch)
        ]
        with connection:
            connection.executemany("INSERT INTO log VALUES (?, ?, ?, ?, ?)", rows)
        read = "SELECT * FROM log WHERE off >= ? ORDER BY off LIMIT ?"
        off += len(connection.execute(read, (off, BATCH)).fetchall())
        with connection:
            connection.execute("UPDATE cursor SET base = ?", (off,))
    seconds = time.perf_counter() - started
    connection.close()
    return seconds


async def fill(path: Path, first: int, count: int, random: Random) -> None:
    """Publish events and leave the group's cursor at the end."""
    for start in range(first, first + count, 20_000):
        part = min(20_000, first + count - start)
        await through(path, list(batches(start, part, random)))


async def startup(path: Path, index: int, random: Random) -> float:
    """Seconds from opening the log to the first record taken, all of it behind the cursor."""
    bus = SqliteBus(path)
    await bus.publish([event(index, payload(random))])
    await bus.close()
    started = time.perf_counter()
    bus = SqliteBus(path)
    async with bus.subscribe(["control"], GROUP, "consumer") as subscription:
        taken = await subscription.take(1)
        seconds = time.perf_counter() - started
        await subscription.complete(taken, [])
    await bus.close()
    return seconds


def read_on(path: Path) -> None:
    """In a process of its own, until it is killed."""
    bus = SqliteBus(path, read_only=True)
    print("reading", flush=True)
    while True:
        for record in bus.read("control"):
            record.event()


@contextmanager
def reader(path: Path) -> Iterator[None]:
    command = [sys.executable, __file__, "--read", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            yield
        finally:
            process.kill()


async def beside_reader(path: Path, count: int, rounds: int, random: Random) -> float:
    """Events a second beside a reader over those without one; the median of the rounds."""
    await fill(path, 0, count, random)
    ratios = []
    for number in range(rounds):
        alone, watched = (
            list(batches(count * (2 * number + turn), count, random)) for turn in (1, 2)
        )
        seconds, _ = await through(path, alone)
        with reader(path):
            beside, _ = await through(path, watched)
        ratios.append(seconds / beside)
    return median(ratios)


async def measure(folder: Path, sizes: Sequence[int], count: int, rounds: int) -> dict[str, object]:
    random = Random(0)
    rates, ratios, cpus = [], [], []
    for number in range(rounds):
        prepared = list(batches(0, count, random))
        seconds, cpu = await through(folder / f"rate-{number}.db", prepared)
        raw = through_raw_sqlite(folder / f"raw-{number}.db", prepared)
        rates.append(count / seconds)
        ratios.append(raw / seconds)
        cpus.append(cpu / count)
        print(f"{rates[-1]:8.0f} events/s, {count / raw:8.0f} through plain SQLite")
    cost: dict[str, float] = {}
    cpu_cost: dict[str, float] = {}
    start: dict[str, float] = {}
    path, filled = folder / "sizes.db", 0
    for size in sizes:
        await fill(path, filled, size - filled, random)
        probe = min(size, 5_000)
        measured = [
            await through(path, list(batches(size + number * probe, probe, random)))
            for number in range(rounds)
        ]
        filled = size + rounds * probe
        cost[str(size)] = round(min(wall for wall, _ in measured) / probe * 1e6, 1)
        cpu_cost[str(size)] = round(min(cpu for _, cpu in measured) / probe * 1e6, 1)
        start[str(size)] = round(
            min([await startup(path, filled + n, random) for n in range(3)]), 4
        )
        filled += 3
        print(f"{size:8d} events on the log: {cost[str(size)]} us, start {start[str(size)]} s")
    ratio = await beside_reader(folder / "read.db", count, 2 * rounds - 1, random)
    return {
        "events_per_second": round(max(rates)),
        "ratio_beside_a_reader": round(ratio, 3),
        "cpu_microseconds_per_event": round(min(cpus) * 1e6, 1),
        "microseconds_per_event_by_size": cost,
        "cpu_microseconds_per_event_by_size": cpu_cost,
        "startup_seconds_by_size": start,
        "ratio_to_raw_sqlite": round(max(ratios), 3),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="What one event costs on the bus.")
    parser.add_argument("--quick", action="store_true", help="about a minute")
    parser.add_argument("--kafka", action="store_true", help="on a broker of its own, not SQLite")
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.read:
        read_on(chosen.read)
    if chosen.kafka:
        # Only here: whoever measures SQLite needs neither Kafka's client nor those of others.
        from benchmarks.kafka.bench import kafka_figures, shown

        on_kafka = asyncio.run(kafka_figures(quick=chosen.quick))
        code = shown(on_kafka, quick=chosen.quick)
        print(json.dumps(on_kafka))
        return code
    quick = chosen.quick
    sizes = [1_000, 10_000, 100_000] if quick else [1_000, 10_000, 100_000, 1_000_000]
    with tempfile.TemporaryDirectory(prefix="evolvent-bus-") as folder:
        figures = asyncio.run(
            measure(Path(folder), sizes, count=10_000 if quick else 50_000, rounds=3)
        )
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
