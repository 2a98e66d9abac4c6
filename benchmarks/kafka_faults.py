"""Torments a live run on a real Kafka broker, then has it audited: nothing may be lost, doubled or
learned from twice, and it must go on learning.

    python benchmarks/kafka_faults.py [--kills 200] [--seconds 2400] [--seed 4] [--quick]

Every role is a process of its own, solvers are several. Processes die by `kill -9`, the broker
too; the network of one process is cut; members come, go, and sleep until others have taken over;
strangers write copies and garbage. Only processes that this program started are harmed.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

# Run as a script, this file's neighbours would hide the package `bus`.
sys.path.insert(0, str(Path(__file__).parents[1]))

from bus.config import KafkaConfig
from evolvent.broker.broker import Broker
from harness.broker import free_port
from harness.kafka_harm import FORGIVEN, KafkaTormentor, Plan
from harness.link import Link
from harness.patient import COUNTS, DAMAGE, SETTINGS, Patient, spread
from harness.planted import is_caught
from harness.runs import audit, read_scores, say, show
from harness.shown import exit_code
from harness.strangers import Strangers

LEASE_SECONDS = 3
QUICK_SETTINGS = ("domain.levels=[1, 2, 3, 4, 5, 6]", "warmup.steps=40", "trainer.size=16")


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A broker, the way to it that can be cut, and where a run at it lies."""

    folder: Path
    broker: Broker
    link: Link
    config: KafkaConfig


@contextmanager
def world(folder: Path, port: int) -> Iterator[World]:
    """Takes `port` and the three after it."""
    broker = Broker(folder / "broker", port, proxied=(port + 2, port + 3))
    try:
        broker.start()
        with Link(port + 3, port + 2) as link:
            config = KafkaConfig(
                bootstrap_servers=f"127.0.0.1:{port + 3}", app="run", lease_seconds=LEASE_SECONDS
            )
            yield World(folder=folder, broker=broker, link=link, config=config)
    finally:
        broker.kill()


def measure(world: World, plan: Plan, seed: int, settings: tuple[str, ...] = ()) -> dict[str, Any]:
    """Torment a run, audit it; the figures."""
    started, folder = time.monotonic(), world.folder / "run"
    chosen = (*SETTINGS, *settings, *(f"bus.{name}={value}" for name, value in _bus(world.config)))

    async def whole() -> KafkaTormentor:
        words = [word for setting in chosen for word in ("--set", setting)]
        patient = Patient(folder, ["--recipe", "strings", *words], FORGIVEN)
        strangers = Strangers(_direct(world), Random(seed))
        tormentor = KafkaTormentor(patient, world.broker, world.link, strangers, Random(seed))
        try:
            await tormentor.torment(plan)
        finally:
            patient.end()
        return tormentor

    tormentor = asyncio.run(whole())
    audited = audit(folder)
    for violation in audited["violations"][:20]:
        say(f"{violation['code']} {violation['sentence']}")
    caught = asyncio.run(is_caught(world.folder / "planted", world.broker.address, plan.planted))
    held_out, harm = read_scores(folder), tormentor.patient.harm
    return {
        **tormentor.figures(),
        **{name: audited["counts"][name] for name in COUNTS},
        "strays": {name: n for name, n in audited["counts"].items() if name.startswith("strays/")},
        "planted_caught": caught,
        "held_out_start": round(held_out[0].mean, 4),
        "held_out_end": round(held_out[-1].mean, 4),
        "recovery_seconds": harm.recovery_seconds(),
        "start_seconds": harm.start_seconds(),
        "beyond_start_seconds": harm.beyond_start_seconds(),
        "recovery_seconds_by_kind": {
            kind: spread(some) for kind, some in sorted(harm.recoveries.items())
        },
        "seconds": round(time.monotonic() - started, 1),
        "killed_by": dict(sorted(harm.kills.items())),
        "ended_by_themselves": dict(harm.ended),
    }


def _bus(config: KafkaConfig) -> list[tuple[str, Any]]:
    return [(name, getattr(config, name)) for name in ("type", *sorted(config.model_fields_set))]


def _direct(world: World) -> KafkaConfig:
    return world.config.model_copy(update={"bootstrap_servers": world.broker.address})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=2400.0, help="of harm, at most")
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument("--quick", action="store_true", help="one of each kind that takes little")
    parser.add_argument("--dir", type=Path, help="keep everything here [default: nowhere]")
    parser.add_argument("--port", type=int, help="of the broker, and the next three [default: any]")
    arguments = parser.parse_args()
    plan = Plan(kills=arguments.kills, seconds=arguments.seconds)
    if arguments.quick:
        plan = Plan.quick()
    with tempfile.TemporaryDirectory(prefix="evolvent-kafka-faults-") as temporary:
        folder = arguments.dir or Path(temporary)
        with world(folder, arguments.port or free_port(4)) as place:
            quick = QUICK_SETTINGS if arguments.quick else ()
            figures = measure(place, plan, arguments.seed, quick)
    show(figures)
    learned = figures["held_out_end"] > figures["held_out_start"]
    # A quick run has no time to learn.
    figures["learned"] = learned or arguments.quick
    wanted = {**plan.wanted(), "learned": True, "planted_caught": True}
    return exit_code(figures, wanted, (*DAMAGE, "unburied"))


if __name__ == "__main__":
    sys.exit(main())
